/** Adapter: dgram. Holds each packet that comes in on one side for `delay_ms` and passes it to the other side, in order. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";

interface Side {
  readonly server_port: number;
  readonly socat_port: number;
}

const settings = JSON.parse(process.argv[2] ?? "{}") as { delay_ms: number; sides: [Side, Side] };

function open(): Socket {
  return createSocket({ type: "udp4", recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 });
}

const [first, second] = settings.sides;
const one = open();
const other = open();

/** Timers of equal length fire in the order they were set, so packets keep their order. */
function pass(from: Socket, to: Socket, port: number): void {
  from.on("message", (bytes) => {
    setTimeout(() => to.send(bytes, port, "127.0.0.1"), settings.delay_ms);
  });
}

pass(one, other, second.socat_port);
pass(other, one, first.socat_port);
one.bind(first.server_port, "127.0.0.1");
other.bind(second.server_port, "127.0.0.1");
await Promise.all([once(one, "listening"), once(other, "listening")]);
console.log("ready");
