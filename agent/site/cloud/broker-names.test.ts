import { createSocket, type Socket } from "node:dgram";
import packet from "dns-packet";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BrokerNames } from "./broker-names.ts";

let server: Socket;
let askers: string[];
let answers: boolean;

beforeEach(async () => {
  askers = [];
  answers = true;
  server = createSocket("udp4");
  server.on("message", (message, from) => {
    askers.push(from.address);
    if (!answers) return;
    const query = packet.decode(message);
    const name = query.questions?.[0]?.name ?? "";
    server.send(
      packet.encode({
        type: "response",
        id: query.id ?? 0,
        questions: query.questions ?? [],
        answers: [{ type: "A", name, ttl: 5, data: "127.0.0.9" }],
      }),
      from.port,
      from.address,
    );
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
});

afterEach(() => new Promise<void>((resolve) => server.close(() => resolve())));

const servers = () => [`127.0.0.1:${server.address().port}`];

test("a name is asked for from the path's own address", async () => {
  expect(await new BrokerNames().resolve("noc.example", "127.0.0.3", servers())).toEqual(["127.0.0.9"]);
  expect(new Set(askers)).toEqual(new Set(["127.0.0.3"]));
});

test("when the path's DNS is dead, what was learned before is used; what was never learned is not invented", async () => {
  const names = new BrokerNames();
  await names.resolve("noc.example", "127.0.0.2", servers());
  answers = false;
  expect(await names.resolve("noc.example", "127.0.0.3", servers())).toEqual(["127.0.0.9"]);
  expect(await names.resolve("other.example", "127.0.0.3", servers())).toEqual([]);
});

test("an address needs no DNS", async () => {
  expect(await new BrokerNames().resolve("127.0.0.1", "127.0.0.2", servers())).toEqual(["127.0.0.1"]);
  expect(askers).toEqual([]);
});
