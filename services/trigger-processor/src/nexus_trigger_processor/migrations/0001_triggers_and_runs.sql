-- Where this service is in each lane: the whole inbox of a reader of the log.
create table lanes (
    lane       smallint    primary key check (lane between 0 and 15),
    position   bigint      not null default 0,
    holes      bigint      not null default 0,
    updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 20);
insert into lanes (lane) select generate_series(0, 15);

-- A trigger is a draft, or published (a version that never changes), or disabled.
create table triggers (
    trigger_id      uuid        primary key,
    tenant_id       text collate "C" not null,
    name            text        not null,
    status          text        not null check (status in ('draft', 'published', 'disabled')),
    draft           jsonb,       -- what is being edited; null when it equals the published version
    version         int,         -- the current version, once published
    latest_version  int         not null default 0,
    event_type      text collate "C",
    effective_after bigint,      -- an event at or before this position never fires it
    revision        int         not null default 1,  -- of this row, for optimistic locking
    created_at      timestamptz not null default clock_timestamp(),
    created_by      text        not null,
    updated_at      timestamptz not null default clock_timestamp(),
    updated_by      text        not null,
    deleted_at      timestamptz,
    check (status <> 'published' or (version is not null and effective_after is not null and event_type is not null))
);
create index triggers_tenant on triggers (tenant_id, created_at desc, trigger_id) where deleted_at is null;
create index triggers_live on triggers (tenant_id, event_type) where status = 'published' and deleted_at is null;

create table trigger_versions (
    trigger_id   uuid        not null references triggers,
    version      int         not null,
    tenant_id    text collate "C" not null,
    definition   jsonb       not null,
    published_at timestamptz not null default clock_timestamp(),
    published_by text        not null,
    reason       text        not null default '',
    primary key (trigger_id, version)
);

-- Signing secrets, sealed and apart from the definition; the previous one signs too while receivers change over.
create table action_secrets (
    trigger_id     uuid        not null references triggers,
    action_key     text        not null,
    tenant_id      text collate "C" not null,
    sealed         bytea       not null,
    previous       bytea,
    previous_until timestamptz,
    changed_at     timestamptz not null default clock_timestamp(),
    primary key (trigger_id, action_key)
);

-- What changed since a reader last looked: read after a lane's row is locked, so no batch decides by an old version.
create table trigger_changes (
    revision   bigint generated always as identity primary key,
    tenant_id  text collate "C" not null,
    event_type text collate "C" not null,
    trigger_id uuid not null,
    changed_at timestamptz not null default clock_timestamp()
);

create table trigger_stats (
    trigger_id  uuid        primary key,
    tenant_id   text collate "C" not null,
    executions  bigint      not null default 0,
    last_run_id uuid,
    last_run_at timestamptz
) with (fillfactor = 50);

create function forbid() returns trigger language plpgsql as $$
begin
    raise exception 'immutable: % on %.% is forbidden', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
create trigger immutable before update on trigger_versions for each row execute function forbid();

-- Derived from the log, and partitioned by the time their event was recorded: that never changes for an event, so keys
-- stay unique and whole weeks leave together.
create table decisions (
    recorded_at timestamptz not null,
    position    bigint      not null,
    trigger_id  uuid        not null,
    version     int         not null,
    generation  int         not null default 0,
    tenant_id   text collate "C" not null,
    event_id    text collate "C" not null,
    source      text collate "C" not null,
    type        text collate "C" not null,
    subject     text collate "C",
    outcome     text        not null check (outcome in ('fired', 'not_matched', 'suppressed', 'deferred', 'error')),
    reason      text        not null default '',  -- a stable slug
    detail      bytea,       -- the clause tree with values, sealed: values can be personal
    run_id      uuid,
    decided_at  timestamptz not null default clock_timestamp(),
    primary key (position, trigger_id, generation, recorded_at)
) partition by range (recorded_at);
create index decisions_tenant on decisions (tenant_id, position);
create index decisions_event on decisions (tenant_id, event_id);  -- "why did this patient not get it?"

create table runs (
    run_id         uuid        not null,  -- derived from trigger, event and generation
    recorded_at    timestamptz not null,
    tenant_id      text collate "C" not null,
    trigger_id     uuid        not null,
    version        int         not null,
    position       bigint      not null,
    event_id       text collate "C" not null,
    source         text collate "C" not null,
    type           text collate "C" not null,
    subject        text collate "C",
    correlation_id text collate "C" not null,
    hops           smallint    not null,
    traceparent    text,
    generation     int         not null default 0,
    status         text        not null default 'running'
        check (status in ('running', 'succeeded', 'failed', 'partial', 'cancelled')),
    open_actions   int         not null,
    failed_actions int         not null default 0,
    created_at     timestamptz not null default clock_timestamp(),
    finished_at    timestamptz,
    cancelled_by   text,
    cancel_reason  text,
    primary key (run_id, recorded_at)
) partition by range (recorded_at);
create index runs_tenant on runs (tenant_id, position);
create index runs_subject on runs (tenant_id, subject, position);
create index runs_trigger on runs (trigger_id, position);

create table actions (
    action_id    uuid        not null,  -- derived from run and step: command id, idempotency key, webhook-id
    recorded_at  timestamptz not null,
    run_id       uuid        not null,
    tenant_id    text collate "C" not null,
    step         text        not null,
    kind         text        not null,
    target       text        not null,  -- the receiver's host, the number, the workflow: never a secret
    request      bytea       not null,  -- sealed
    max_attempts smallint    not null,
    on_unknown   text        not null check (on_unknown in ('retry', 'probe', 'hold')),
    deadline_at  timestamptz not null,
    status       text        not null default 'queued' check (status in
        ('waiting', 'queued', 'retrying', 'succeeded', 'failed', 'unknown', 'cancelled', 'suppressed')),
    status_seq   int         not null default 0,
    attempts     int         not null default 0,
    error_class  text,
    created_at   timestamptz not null default clock_timestamp(),
    finished_at  timestamptz,
    primary key (action_id, recorded_at)
) partition by range (recorded_at);
create index actions_run on actions (run_id);

-- The intent is committed before the call outside; the outcome is added once.
create table attempts (
    action_id   uuid        not null,
    attempt     int         not null,
    recorded_at timestamptz not null,
    tenant_id   text collate "C" not null,
    worker      text        not null,
    started_at  timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    outcome     text,
    code        text,
    http_status smallint,
    latency_ms  int,
    response    bytea,       -- sealed: the beginning of the answer
    primary key (action_id, attempt, recorded_at)
) partition by range (recorded_at);

-- Actions that this service performs itself and that wait for their next attempt; a claim moves `due_at` to the end of
-- its lease, so what a dead worker held becomes due again by itself.
create table pending_actions (
    action_id   uuid        primary key,
    recorded_at timestamptz not null,
    tenant_id   text collate "C" not null,
    due_at      timestamptz not null default clock_timestamp(),
    attempt     int         not null default 0,
    base        int         not null default 0,  -- attempts before the last redrive: patience starts again
    leased_by   text
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
create index pending_actions_due on pending_actions (tenant_id, due_at);
create index pending_actions_leased on pending_actions (tenant_id) where leased_by is not null;

-- Messages that commit with what they tell. Whoever commits publishes and deletes; a job sends what a crash left.
create table outbox (
    id           bigint generated always as identity primary key,
    exchange     text        not null,
    key          text        not null,
    message_id   text        not null,
    content_type text        not null,
    body         bytea       not null,
    created_at   timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

create table dead_letters (
    dead_letter_id uuid        primary key,  -- derived from queue, message id and content
    tenant_id      text collate "C" not null,  -- the platform's where no one tenant can be made out
    service        text        not null,
    queue          text        not null,
    message_id     text        not null,
    type           text,        -- what the message says it is
    cause          text        not null,  -- the broker's word: rejected, delivery_limit, expired, maxlen
    deaths         jsonb       not null default '[]',
    content_type   text        not null default '',
    body           bytea       not null,  -- sealed
    status         text        not null default 'open' check (status in ('open', 'redriven', 'discarded')),
    created_at     timestamptz not null default clock_timestamp(),
    settled_at     timestamptz,
    settled_by     text,
    note           text
);
create index dead_letters_tenant on dead_letters (tenant_id, created_at desc, dead_letter_id desc);
create index dead_letters_newest on dead_letters (created_at desc, dead_letter_id desc);

create table tenants (
    tenant_id  text collate "C" primary key,
    settings   jsonb       not null,
    position   bigint      not null,
    updated_at timestamptz not null default clock_timestamp()
);

create table revoked_keys (
    jti        text        primary key,
    revoked_at timestamptz not null default clock_timestamp()
);

create function create_partitions(first timestamptz, until timestamptz) returns void language plpgsql
    security definer set search_path = trigger_processor, pg_temp as $$
declare
    suffix text := to_char(first at time zone 'UTC', 'YYYYMMDD');
    parent text;
begin
    foreach parent in array array['decisions', 'runs', 'actions', 'attempts'] loop
        execute format('create table if not exists %I partition of %I for values from (%L) to (%L) with (fillfactor = 70)',
                       parent || '_' || suffix, parent, first, until);
    end loop;
end $$;

create function detach_partitions(before timestamptz) returns setof text language plpgsql
    security definer set search_path = trigger_processor, pg_temp as $$
declare
    leaf record;
begin
    for leaf in
        select c.relname, p.relname as parent,
               substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''([^'']+)''\)')::timestamptz as until
          from pg_inherits i join pg_class c on c.oid = i.inhrelid join pg_class p on p.oid = i.inhparent
         where p.relname in ('decisions', 'runs', 'actions', 'attempts') and p.relkind = 'p'
           and p.relnamespace = 'trigger_processor'::regnamespace and c.relname not like '%\_default'
    loop
        if leaf.until <= before then
            execute format('alter table %I detach partition %I', leaf.parent, leaf.relname);
            return next leaf.relname;
        end if;
    end loop;
end $$;

create table decisions_default partition of decisions default;
create table runs_default partition of runs default;
create table actions_default partition of actions default;
create table attempts_default partition of attempts default;
select create_partitions(date_trunc('week', now(), 'UTC') + i * interval '1 week',
                         date_trunc('week', now(), 'UTC') + (i + 1) * interval '1 week')
  from generate_series(-6, 8) i;

revoke execute on all functions in schema trigger_processor from public;
grant execute on function create_partitions, detach_partitions to trigger_processor;
grant select, insert, update on all tables in schema trigger_processor to trigger_processor;
grant delete on outbox, pending_actions, revoked_keys to trigger_processor;

-- The tenant-facing role: each table's policy below keeps it within one tenant, these grants within what requests do.
grant select on triggers, trigger_versions, trigger_stats, decisions, runs, actions, attempts, pending_actions, dead_letters,
    lanes, trigger_changes to trigger_processor_api;
grant insert, update on triggers to trigger_processor_api;
grant insert on trigger_versions, trigger_changes to trigger_processor_api;
grant select, insert, update on action_secrets to trigger_processor_api;
grant update (updated_at) on lanes to trigger_processor_api;  -- publishing a trigger locks the lanes
grant insert on outbox to trigger_processor_api;  -- facts commit with what they tell
grant select (id) on outbox to trigger_processor_api;
grant insert, delete on pending_actions to trigger_processor_api;
grant update (status, status_seq, error_class, deadline_at, finished_at) on actions to trigger_processor_api;
grant update (status, open_actions, failed_actions, finished_at, cancelled_by, cancel_reason) on runs to trigger_processor_api;
grant update (status, settled_at, settled_by, note) on dead_letters to trigger_processor_api;

do $$
declare
    name text;
begin
    foreach name in array array['triggers', 'trigger_versions', 'trigger_changes', 'trigger_stats', 'action_secrets', 'decisions', 'runs',
                                'actions', 'attempts', 'pending_actions', 'dead_letters', 'tenants'] loop
        execute format('alter table %I enable row level security', name);
        execute format('alter table %I force row level security', name);
        execute format('create policy owner on %I to trigger_processor_owner using (true) with check (true)', name);
        execute format('create policy worker on %I to trigger_processor using (true) with check (true)', name);
        execute format('create policy tenant on %I to trigger_processor_api using (tenant_id = (select nullif(current_setting(''app.tenant'', true), '''')))', name);
    end loop;
end $$;
