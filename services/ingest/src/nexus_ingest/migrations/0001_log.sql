-- The log: one counter row serialises appends inside one server-side statement, so positions are dense, commit-ordered
-- and monotone in time. A reader needs nothing but `position > cursor`, and a hole in positions is a loss.

create table log_head (
    is_only          boolean     primary key default true check (is_only),
    last_position    bigint      not null default 0,
    last_recorded_at timestamptz not null default '2000-01-01Z',
    last_block_hash  bytea       not null default '\x00',
    dedupe_window    interval    not null default '35 days',
    epoch            int         not null default 1,
    server_identity  text        not null default ''
) with (fillfactor = 10);  -- every append is a HOT update of this row
insert into log_head default values;

-- A failover or a restore can lose a tail that consumers already saw. Positions are never used again: append() notices
-- another server or timeline by itself, opens an epoch and jumps ahead.
create table log_epochs (
    epoch           int         primary key,
    first_position  bigint      not null,
    server_identity text        not null,
    opened_at       timestamptz not null default clock_timestamp()
);

create table automation_events (
    position       bigint      not null,
    recorded_at    timestamptz not null,  -- our clock, never decreasing; the partition key
    lane           smallint    not null check (lane between 0 and 15),
    tenant_id      text collate "C" not null,
    source         text collate "C" not null,
    event_id       text collate "C" not null,
    type           text collate "C" not null,
    is_known       boolean     not null,  -- in the catalogue at the time
    schema_version smallint    not null,
    subject        text collate "C",
    occurred_at    timestamptz not null,  -- the publisher's clock: information, never order
    correlation_id text collate "C" not null,
    causation_id   text collate "C",
    hops           smallint    not null check (hops between 0 and 32),
    traceparent    text,
    data           text        not null,  -- JSON: what is neither personal nor health data; parsed by nobody on its way in
    sealed         bytea,                 -- the rest, AES-256-GCM under the person's key
    key_id         uuid,                  -- which key; destroying it erases the person
    digest         bytea       not null,  -- HMAC of the whole content: same id, same content?
    primary key (position, recorded_at)
) partition by range (recorded_at);
create index automation_events_tenant on automation_events (tenant_id, position);
create index automation_events_subject on automation_events (tenant_id, subject, position);
-- An event that begins its story carries its own id as correlation: no need to index those again.
create index automation_events_story on automation_events (tenant_id, correlation_id, position)
    where correlation_id <> event_id;

create table log_blocks (
    last_position  bigint      primary key,
    first_position bigint      not null,
    recorded_at    timestamptz not null,
    writer         text        not null,
    previous_hash  bytea       not null,
    block_hash     bytea       not null
);

create function forbid() returns trigger language plpgsql as $$
begin
    raise exception 'append-only: % on %.% is forbidden', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on automation_events for each row execute function forbid();
create trigger append_only before update or delete on log_blocks for each row execute function forbid();
create trigger no_truncate before truncate on log_blocks for each statement execute function forbid();

-- The leaf carries the identity's unique index: on the parent it would have to contain the partition key. Ids come first, since
-- they tell apart at the first comparison what tenants and sources share.
-- Making and detaching lock the whole log for a moment. Behind a long read they give up, rather than hold up every append.
create function create_partition(first timestamptz, until timestamptz) returns text language plpgsql
    security definer set search_path = ingest, pg_temp set lock_timeout = '1s' as $$
declare
    name text := 'automation_events_' || to_char(first at time zone 'UTC', 'YYYYMMDD');
begin
    if to_regclass('ingest.' || name) is not null then return null; end if;
    -- Weeks whose events fell into the safety net stay there until an operator moves them; the others are made all the same.
    if exists (select from automation_events_default where recorded_at >= first and recorded_at < until) then return null; end if;
    execute format('create table %I partition of automation_events for values from (%L) to (%L)', name, first, until);
    execute format('create unique index %I on %I (event_id, tenant_id, source)', name || '_identity', name);
    execute format('create trigger no_truncate before truncate on %I for each statement execute function forbid()', name);
    return name;
end $$;

-- Whole partitions leave, never rows. Detached, not dropped: an operator archives the table, then drops it.
create function detach_partitions(before timestamptz) returns setof text language plpgsql
    security definer set search_path = ingest, pg_temp set lock_timeout = '1s' as $$
declare
    leaf record;
begin
    for leaf in
        select c.relname, substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz as until
          from pg_inherits i join pg_class c on c.oid = i.inhrelid
         where i.inhparent = 'automation_events'::regclass and c.relname <> 'automation_events_default'
    loop
        if leaf.until <= before then
            execute format('alter table automation_events detach partition %I', leaf.relname);
            return next leaf.relname;
        end if;
    end loop;
end $$;

create table automation_events_default partition of automation_events default;  -- a safety net; alarmed if it holds a row
-- Not unique: it may hold more than the dedupe window, in which an identity may come again.
create index automation_events_default_identity on automation_events_default (event_id, tenant_id, source);
create trigger no_truncate before truncate on automation_events_default for each statement execute function forbid();
select create_partition(date_trunc('week', now(), 'UTC') + i * interval '1 week', date_trunc('week', now(), 'UTC') + (i + 1) * interval '1 week')
  from generate_series(-1, 8) i;

create function server_identity() returns text language sql stable as $$
    select (select system_identifier from pg_control_system())::text || '/'
        || case when pg_is_in_recovery() then '' else substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) end
$$;

-- One key per person, under a pseudonym (a keyed hash of tenant and person). A destroyed key stays as a tombstone.
create table subject_keys (
    key_id       uuid        primary key,
    tenant_id    text collate "C" not null,
    wrapped      bytea,
    created_at   timestamptz not null default clock_timestamp(),
    destroyed_at timestamptz,
    check ((wrapped is null) = (destroyed_at is not null))
);
create index subject_keys_destroyed on subject_keys (destroyed_at) where destroyed_at is not null;

-- The append. Called in autocommit: the lock never spans a round trip, and a dead client cannot hold it. An identity stands
-- at most once in the arrays. Keys of new persons come along: an event and the key that opens it commit together. Answers
-- are arrays in the order of the parameters; `known_at` is null where the event is new, that is, recorded at `now_at`.
create function append(
    p_writer text, p_lane smallint[], p_tenant text[], p_source text[], p_event text[], p_type text[], p_known boolean[],
    p_schema smallint[], p_subject text[], p_occurred timestamptz[], p_correlation text[], p_causation text[],
    p_hops smallint[], p_trace text[], p_data text[], p_sealed bytea[], p_key uuid[], p_digest bytea[],
    p_new_key uuid[], p_new_tenant text[], p_new_wrapped bytea[],
    out now_at timestamptz, out positions bigint[], out known_at timestamptz[], out same boolean[])
language plpgsql security definer set search_path = ingest, pg_temp
set enable_seqscan = off set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    v_base bigint; v_hash bytea; v_last timestamptz; v_window interval; v_since timestamptz; v_seen text; v_identity text;
    v_count bigint; v_digests bytea; v_block bytea;
begin
    select last_position, last_block_hash, last_recorded_at, dedupe_window, server_identity
      into strict v_base, v_hash, v_last, v_window, v_seen from log_head for update;
    v_identity := server_identity();
    if v_identity <> v_seen then  -- the first append ever, or after a promotion or restore
        if v_seen <> '' then v_base := v_base + 4294967296; end if;
        update log_head set server_identity = v_identity, epoch = epoch + (v_seen <> '')::int, last_position = v_base;
        insert into log_epochs (epoch, first_position, server_identity) select epoch, v_base + 1, v_identity from log_head;
    end if;
    now_at := greatest(clock_timestamp(), v_last);  -- a clock that steps back cannot break the order
    v_since := least(now_at - v_window, date_trunc('week', now_at, 'UTC'));  -- the leaf's unique index reaches back as far

    -- Instances remember keys for some minutes: what came after an erasure must not be sealed under the destroyed key.
    if exists (select from subject_keys where destroyed_at > now_at - interval '1 hour' and key_id = any(p_key)) then
        raise exception 'the key of one of these persons was destroyed' using errcode = 'NX001';
    end if;
    if cardinality(p_new_key) > 0 then
        insert into subject_keys (key_id, tenant_id, wrapped)
        select * from unnest(p_new_key, p_new_tenant, p_new_wrapped) on conflict do nothing;
        get diagnostics v_count = row_count;
        if v_count < cardinality(p_new_key) and exists (
            select from unnest(p_new_key, p_new_wrapped) as n (key_id, wrapped) join subject_keys k using (key_id)
             where k.wrapped is distinct from n.wrapped)
        then
            raise exception 'another instance made a key for one of these persons' using errcode = 'NX001';
        end if;
    end if;

    select array_agg(coalesce(known_position, v_base + rank) order by ord), array_agg(known_at order by ord),
           array_agg(is_same order by ord), count(*) filter (where known_position is null),
           string_agg(digest, ''::bytea order by ord) filter (where known_position is null)
      into positions, known_at, same, v_count, v_digests
      from (select i.ord, i.digest, k.position as known_position, k.recorded_at as known_at, k.digest = i.digest as is_same,
                   count(*) filter (where k.position is null) over (order by i.ord) as rank
              from unnest(p_tenant, p_event, p_source, p_digest) with ordinality as i (tenant_id, event_id, source, digest, ord)
              left join lateral (  -- limit keeps it a look-up per event, whatever the statistics say
                   select e.position, e.recorded_at, e.digest from automation_events e
                    where e.tenant_id = i.tenant_id and e.event_id = i.event_id and e.source = i.source
                      and e.recorded_at >= v_since and e.recorded_at <= now_at limit 1) k on true) as judged;

    if v_count > 0 then
        insert into automation_events (position, recorded_at, lane, tenant_id, source, event_id, type, is_known,
               schema_version, subject, occurred_at, correlation_id, causation_id, hops, traceparent, data, sealed, key_id,
               digest)
        select position, now_at, lane, tenant_id, source, event_id, type, is_known, schema_version, subject, occurred_at,
               correlation_id, causation_id, hops, traceparent, data, sealed, key_id, digest
          from unnest(p_lane, p_tenant, p_source, p_event, p_type, p_known, p_schema, p_subject, p_occurred, p_correlation,
                      p_causation, p_hops, p_trace, p_data, p_sealed, p_key, p_digest, positions, known_at)
            as t (lane, tenant_id, source, event_id, type, is_known, schema_version, subject, occurred_at, correlation_id,
                  causation_id, hops, traceparent, data, sealed, key_id, digest, position, known_at)
         where known_at is null;
        v_block := sha256(v_hash || int8send(v_base + 1) || int8send(v_base + v_count) || v_digests);
        insert into log_blocks (last_position, first_position, recorded_at, writer, previous_hash, block_hash)
        values (v_base + v_count, v_base + 1, now_at, p_writer, v_hash, v_block);
        update log_head set last_position = v_base + v_count, last_recorded_at = now_at, last_block_hash = v_block;
    end if;
end $$;

-- Relays: a cursor, a lease on the database's clock, and an epoch that fences whoever lost it.
create table relays (
    name           text        primary key,
    position       bigint      not null default 0,
    recorded_at    timestamptz not null default '2000-01-01Z',
    lane_positions bigint[]    not null default array_fill(0::bigint, array[16]),
    epoch          bigint      not null default 0,
    owner          text,
    leased_until   timestamptz not null default '-infinity'
) with (fillfactor = 10);
insert into relays (name) values ('log'), ('events');

-- How far each reader of the log has come, as it reports over the broker.
create table reader_positions (
    service        text        primary key,
    lane_positions bigint[]    not null,
    reported_at    timestamptz not null default clock_timestamp()
);

create table quarantine (
    quarantine_id uuid        primary key,
    tenant_id     text collate "C" not null,
    publisher     text        not null,  -- the broker user, or the key's exchange tenant when it gave none
    source        text,
    event_id      text,
    type          text,
    reason        text        not null,  -- a stable slug
    pointer       text        not null default '',
    message       text        not null,
    content       bytea       not null,  -- the first 64 KiB, sealed
    content_hash  bytea       not null,
    content_size  int         not null,
    content_type  text        not null default '',
    status        text        not null default 'open' check (status in ('open', 'recorded', 'discarded')),
    occurrences   int         not null default 1,
    first_seen_at timestamptz not null default clock_timestamp(),
    last_seen_at  timestamptz not null default clock_timestamp(),
    resolved_at   timestamptz,
    resolved_by   text,
    resolution    text
);
create index quarantine_tenant on quarantine (tenant_id, first_seen_at desc, quarantine_id);

-- Counts per hour, rolled up from the log by position: never counted on the hot path.
create table event_counts (
    tenant_id text collate "C" not null,
    type      text collate "C" not null,
    hour      timestamptz not null,
    events    bigint      not null,
    primary key (tenant_id, hour, type)
);
create table roll_ups (
    name     text   primary key,
    position bigint not null default 0
);
insert into roll_ups (name) values ('event_counts');

-- Settings are told to everybody as the fact `tenant.configured`: told_revision lags until the log has it.
create table tenants (
    tenant_id     text collate "C" primary key,
    name          text        not null,
    settings      jsonb       not null default '{}',
    is_active     boolean     not null default true,
    revision      int         not null default 1,
    told_revision int         not null default 0,
    created_at    timestamptz not null default clock_timestamp(),
    updated_at    timestamptz not null default clock_timestamp()
);
create index tenants_untold on tenants (tenant_id) where told_revision < revision;

create table api_keys (
    jti        uuid        primary key,
    tenant_id  text collate "C" not null,
    name       text        not null,
    scopes     text[]      not null,
    created_at timestamptz not null default clock_timestamp(),
    created_by text        not null,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_by text
);
create index api_keys_tenant on api_keys (tenant_id, created_at desc);
create index api_keys_revoked on api_keys (expires_at) where revoked_at is not null;

-- For the alarm: the leaf itself is readable by nobody but the owner.
create function default_holds_rows() returns boolean language sql stable
    security definer set search_path = ingest, pg_temp as $$
    select exists (select 1 from automation_events_default)
$$;

-- Rights. The worker's role appends through the function and nothing else; leaves get no grants at all.
revoke execute on all functions in schema ingest from public;
grant execute on function append, create_partition, detach_partitions, default_holds_rows to ingest;
grant select on automation_events, log_blocks, log_head, log_epochs to ingest;
grant select, insert, update on subject_keys, relays, reader_positions, quarantine, event_counts, roll_ups, tenants, api_keys to ingest;
grant select on schema_migrations to ingest;
grant select on automation_events, quarantine, event_counts, roll_ups, tenants, api_keys, subject_keys to ingest_api;
grant insert on api_keys to ingest_api;
grant update (revoked_at, revoked_by) on api_keys to ingest_api;
grant update (status, resolved_at, resolved_by, resolution) on quarantine to ingest_api;
grant update (name, settings, revision, told_revision, updated_at) on tenants to ingest_api;
grant update (wrapped, destroyed_at) on subject_keys to ingest_api;

do $$
declare
    name text;
begin
    foreach name in array array['automation_events', 'quarantine', 'event_counts', 'tenants', 'api_keys', 'subject_keys'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy owner on %I to ingest_owner using (true) with check (true)', name);
        execute format('create policy worker on %I to ingest using (true) with check (true)', name);
        -- The sub-select is evaluated once; without a tenant it is null, and no row is visible.
        execute format('create policy tenant on %I to ingest_api using (tenant_id = (select nullif(current_setting(''app.tenant'', true), '''')))', name);
    end loop;
end $$;
