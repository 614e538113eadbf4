import mqtt from "mqtt";

/** Somebody at the broker who reads along. */
export class Noc {
  readonly #client: mqtt.MqttClient;
  readonly #types = new Set<string>();
  unmarked = 0;

  private constructor(client: mqtt.MqttClient) {
    this.#client = client;
    client.on("message", (topic, payload) => {
      if (payload.length === 0) return;
      const text = payload.toString();
      if (!text.includes("PRACTICE") || !text.includes('"practice":true')) this.unmarked++;
      if (topic.endsWith("/event")) this.#types.add(String((JSON.parse(text) as { type?: unknown }).type));
    });
  }

  static async join(broker: { readonly host: string; readonly port: number }): Promise<Noc> {
    const client = await mqtt.connectAsync(`mqtt://${broker.host}:${broker.port}`, { protocolVersion: 4 });
    const noc = new Noc(client);
    await client.subscribeAsync("holdfast/v1/#");
    return noc;
  }

  /** Types of the events seen. */
  get types(): readonly string[] {
    return [...this.#types];
  }

  has(type: string): boolean {
    return this.#types.has(type);
  }

  leave(): void {
    this.#client.end(true);
  }
}
