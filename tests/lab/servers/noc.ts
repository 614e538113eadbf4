/**
 * Adapter: mqtt. The NOC's application: takes everything the boxes publish, prints each message as one JSON line, and
 * acknowledges events on the box's `ack` topic, as the contract asks.
 */
import { connectAsync } from "mqtt";

const [address = "", port = ""] = process.argv.slice(2);
const client = await connectAsync(`mqtt://${address}:${port}`, {
  clientId: "noc",
  clean: false,
  protocolVersion: 4,
  reconnectPeriod: 200,
});

client.on("message", (topic, bytes, packet) => {
  let payload: unknown;
  try {
    payload = JSON.parse(bytes.toString("utf8"));
  } catch {
    payload = bytes.toString("utf8");
  }
  console.log(JSON.stringify({ at: Date.now(), topic, retain: packet.retain, payload }));
  const base = topic.match(/^(holdfast\/v1\/[^/]+\/[^/]+\/[^/]+)\/event$/)?.[1];
  const id = (payload as { id?: unknown } | null)?.id;
  if (base !== undefined && typeof id === "string") {
    client.publish(`${base}/ack`, JSON.stringify({ ids: [id] }), { qos: 1 });
  }
});
await client.subscribeAsync("holdfast/v1/#", { qos: 1 });
console.log("ready");
