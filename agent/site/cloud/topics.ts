/** Topics of one box. `ack` and `cmd/+` are the NOC's to write, the rest are the box's. */
export interface Topics {
  readonly state: string;
  readonly status: string;
  readonly heartbeat: string;
  readonly event: string;
  readonly ack: string;
  readonly commands: string;
  reply(command: string): string;
  /** The command's name when this is a command topic. */
  commandOf(topic: string): string | undefined;
}

export function topicsOf(org: string, site: string, box: string): Topics {
  const base = `holdfast/v1/${org}/${site}/${box}`;
  const prefix = `${base}/cmd/`;
  return {
    state: `${base}/state`,
    status: `${base}/status`,
    heartbeat: `${base}/heartbeat`,
    event: `${base}/event`,
    ack: `${base}/ack`,
    commands: `${prefix}+`,
    reply: (command) => `${prefix}${command}/reply`,
    commandOf(topic) {
      const name = topic.startsWith(prefix) ? topic.slice(prefix.length) : "";
      return name === "" || name.includes("/") ? undefined : name;
    },
  };
}
