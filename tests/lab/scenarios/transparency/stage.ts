/** The stage of the transparency scenarios: an undisturbed site, the box one-armed between its telephones and the cloud. */
import { until } from "../../deadline.ts";
import type { Lab, Phones } from "../../lab.ts";
import { addAddress, wanPort } from "../../network.ts";
import type { Linphone } from "../../peers/linphone.ts";
import { beyondPbx } from "../../peers/pbx-features.ts";
import { tryRunIn } from "../../processes.ts";
import type { Stage } from "../../scenario.ts";

export interface Cast extends Phones {
  readonly linphone104: Linphone;
  readonly linphone105: Linphone;
}

const casts = new WeakMap<Lab, Cast>();

/** The telephones of the stage, all registered through the box. */
export function cast(lab: Lab): Cast {
  const found = casts.get(lab);
  if (found === undefined) throw new Error("the stage is not set");
  return found;
}

export const site: Stage = {
  name: "transparent-site",
  layout: { box: "one-armed", telephones: "box", box_running: true },

  async prepare(lab) {
    const more = {
      linphone104: lab.linphone("linphone104"),
      linphone105: lab.linphone("linphone105"),
    };
    casts.set(lab, { ...lab.phones, ...more });
    await Promise.all(Object.values(more).map((phone) => phone.start()));
    await addAddress(beyondPbx.namespace, beyondPbx.address);
    await lab.box.mode("normal", 15_000);
    await Promise.all(Object.values(more).map((phone) => phone.registered(8000)));
  },

  async settled(lab) {
    const everybody = [...Object.values(cast(lab)), lab.remote.outside];
    await Promise.all(
      everybody.map((phone) =>
        until(`${phone.name} to have no call`, 5000, async () => ((await phone.calls()) === 0 ? true : undefined)),
      ),
    );
    await until("the box to show no call", 5000, async () => {
      const engine = (await lab.box.status())?.engine;
      return (engine?.mode === "normal" && engine.calls.length === 0) || undefined;
    });
    let open: readonly string[] = [];
    await until("the box to have given back all media ports", 5000, async () => {
      open = await mediaPorts();
      return open.length === 0 || undefined;
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${open.join(", ")}`);
    });
    await until(
      "the PBX to have no transaction under way",
      8000,
      async () => (await lab.pbx.underWay()) === 0 || undefined,
    );
  },
};

/** The same with baresip, the box and the PBX speaking TCP. */
export const siteOverTcp: Stage = { ...site, name: "transparent-site-tcp", layout: { ...site.layout, tcp: true } };

/** With a port of its own towards the WAN. */
export const siteOfTwoPorts: Stage = {
  ...site,
  name: "transparent-site-two-port",
  layout: { ...site.layout, box: "two-port" },
};

/** Where the box's media for the cloud leaves, and where it hears the cloud. */
export const towardsCloud = ({ layout }: Lab): string => wanPort(layout).address;

/** The box's sockets in its range of media ports. */
async function mediaPorts(): Promise<readonly string[]> {
  const { stdout } = await tryRunIn("box", ["ss", "-Hlun", `sport >= :20000 sport <= :21999`]);
  return stdout.match(/\S+:2[01]\d{3}(?=\s)/g) ?? [];
}
