import { randomUUID } from "node:crypto";
import amqp from "amqplib";

const { NEXUS_AMQP_URL: url, NEXUS_TENANT: tenantid } = process.env;
const id = process.argv[2] ?? randomUUID(); // better: an id of your own, the same at every try
const data = { lead_id: "L-18", name: "João Pereira", phone: "+5511987654321", source: "ads" };
const event = { specversion: "1.0", id, source: "site", type: "lead.created", tenantid, data };

const connection = await amqp.connect(url);
const channel = await connection.createConfirmChannel();
let problem;
channel.on("error", (error) => (problem = error)); // wrong tenant: the broker closes the channel
channel.on("return", () => (problem = new Error("no queue takes this key")));
const options = { contentType: "application/cloudevents+json", messageId: id, persistent: true, mandatory: true };
channel.publish("nexus.inbound", `${tenantid}.${event.type}`, Buffer.from(JSON.stringify(event)), options);
await channel.waitForConfirms().catch((error) => (problem ??= error));
await connection.close();
if (problem) throw problem;
console.log(`confirmed ${id}`);
