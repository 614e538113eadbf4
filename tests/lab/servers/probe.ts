/**
 * Adapter: dgram. Sends numbered UDP datagrams to an echo and prints what became of them as one JSON line: how many came
 * back, round-trip times, and what the kernel reported.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";

interface Settings {
  readonly local: string;
  readonly address: string;
  readonly port: number;
  readonly count: number;
  readonly interval_ms: number;
  readonly patience_ms: number;
}

const settings = JSON.parse(process.argv[2] ?? "{}") as Settings;
const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
const sent: number[] = [];
const round_trips_ms: number[] = [];
const errors = new Set<string>();

let patience: NodeJS.Timeout | undefined;

const finish = () => {
  clearTimeout(patience);
  socket.close();
  const sorted = round_trips_ms.sort((a, b) => a - b);
  console.log(
    JSON.stringify({
      sent: sent.length,
      returned: sorted.length,
      median_ms: sorted[Math.floor(sorted.length / 2)] ?? null,
      errors: [...errors],
    }),
  );
};

socket.on("error", (error: NodeJS.ErrnoException) => errors.add(error.code ?? error.message));
socket.on("message", (bytes) => {
  const start = sent[bytes.readUInt32BE(0)];
  if (start === undefined) return;
  round_trips_ms.push(performance.now() - start);
  if (round_trips_ms.length === settings.count) finish();
});
socket.bind(0, settings.local);
await once(socket, "listening");
// Connected, so that the kernel hands over the ICMP errors it gets.
socket.connect(settings.port, settings.address);
await once(socket, "connect");
for (let n = 0; n < settings.count; n++) {
  const bytes = Buffer.alloc(64);
  bytes.writeUInt32BE(n, 0);
  sent.push(performance.now());
  socket.send(bytes, (error) => {
    if (error !== null) errors.add((error as NodeJS.ErrnoException).code ?? error.message);
  });
  if (settings.interval_ms > 0) await new Promise((resolve) => setTimeout(resolve, settings.interval_ms));
}
if (round_trips_ms.length < settings.count) patience = setTimeout(finish, settings.patience_ms);
