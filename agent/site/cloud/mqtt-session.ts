import { MqttClient } from "mqtt";
import { errorText } from "../../base/errors.ts";
import { openStream, type StreamTarget } from "./broker-stream.ts";

/**
 * Adapter: mqtt. One connection to one broker, once: it never reconnects by itself, because who connects when and by
 * which path is decided elsewhere.
 *
 * The contract with the NOC uses what MQTT 3.1.1 has. Where the broker speaks MQTT 5 that is spoken, for one thing
 * only: a last will that waits, so that moving to another path (a take-over of the session) does not announce the box
 * as offline. A 3.1.1 broker announces it for a moment; the new connection then corrects the retained state.
 */
export interface SessionOptions {
  readonly target: StreamTarget;
  readonly version: 4 | 5;
  readonly client_id: string;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly keepalive_s: number;
  readonly connect_timeout_ms: number;
  readonly will: { readonly topic: string; readonly payload: string };
  /** The broker has accepted us. */
  onUp(): void;
  /** Called once, when the connection could not be made or is over. */
  onDown(reason: DownReason): void;
  onMessage(topic: string, payload: Buffer, retained: boolean): void;
}

export interface DownReason {
  /** The broker does not speak this version of the protocol (it said so, or hung up before its first word). */
  readonly version_refused: boolean;
  readonly detail: string;
}

export interface Session {
  /** Resolves once the broker has it (PUBACK); rejects when the connection ends first. */
  publish(topic: string, payload: string, options: { qos: 0 | 1; retain: boolean }): Promise<void>;
  subscribe(topics: readonly string[]): void;
  /** Takes leave properly; resolves when that is done or the connection is gone. */
  end(): Promise<void>;
  /** Hangs up without a word. */
  drop(): void;
}

/** MQTT 5: the broker holds the last will back this long, so that moving to another path does not set it off. */
const WILL_DELAY_S = 30;
const SESSION_EXPIRY_S = 3600;
const UNACCEPTABLE_VERSION = new Set([1, 132]);

export function openSession(options: SessionOptions): Session {
  let up = false;
  let over = false;
  let reached = false;
  let refused: number | undefined;
  let detail = "the connection was closed";
  const five = options.version === 5;

  const client = new MqttClient(
    () => {
      const stream = openStream(options.target);
      stream.once("connect", () => {
        reached = true;
      });
      return stream;
    },
    {
      protocolId: "MQTT",
      protocolVersion: options.version,
      clientId: options.client_id,
      // A lasting session is what lets a will be delayed; 3.1.1 has no delay, and commands should not pile up there.
      clean: !five,
      keepalive: options.keepalive_s,
      reconnectPeriod: 0,
      connectTimeout: options.connect_timeout_ms,
      resubscribe: false,
      queueQoSZero: false,
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
      will: {
        topic: options.will.topic,
        payload: Buffer.from(options.will.payload),
        qos: 1,
        retain: true,
        ...(five ? { properties: { willDelayInterval: WILL_DELAY_S } } : {}),
      },
      ...(five ? { properties: { sessionExpiryInterval: SESSION_EXPIRY_S } } : {}),
    },
  );
  const down = () => {
    if (over) return;
    over = true;
    const hungUp = !up && reached && refused === undefined && detail === "the connection was closed";
    options.onDown({ version_refused: (refused !== undefined && UNACCEPTABLE_VERSION.has(refused)) || hungUp, detail });
    client.end(true);
  };
  client.on("connect", () => {
    up = true;
    if (!over) options.onUp();
  });
  client.on("message", (topic, payload, packet) => {
    if (!over) options.onMessage(topic, payload, packet.retain);
  });
  client.on("error", (error) => {
    detail = errorText(error);
    if ("code" in error && typeof error.code === "number") refused = error.code;
    down();
  });
  client.on("close", down);

  return {
    publish(topic, payload, { qos, retain }) {
      return new Promise((resolve, reject) => {
        if (over) reject(new Error("the connection is over"));
        else client.publish(topic, payload, { qos, retain }, (error) => (error ? reject(error) : resolve()));
      });
    },
    subscribe(topics) {
      // What the broker refuses is seen in the outbox not being acknowledged; the connection itself is good.
      client.subscribe([...topics], { qos: 1 }, () => {});
    },
    end: () =>
      new Promise((resolve) => {
        if (over) return resolve();
        over = true;
        client.end(false, {}, () => resolve());
      }),
    drop() {
      over = true;
      client.end(true);
      client.stream.destroy();
    },
  };
}
