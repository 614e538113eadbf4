import type { SiteConfig } from "../../base/config/schema.ts";
import { outsideNumber, toE164 } from "./numbers.ts";
import type { CallRequest, RoutePlan, RouteStep, RoutingView } from "./plan-types.ts";

type TrunkView = RoutingView["trunks"][number];

/** Trunk and path may both carry a call as far as is known. */
function isDown({ state, path }: TrunkView): boolean {
  return state === "down" || path.state === "down";
}

/**
 * Where a call goes, and why. Emergency calls have {@link planEmergency}: whoever takes a request asks `classify`
 * first. What the mode allows: in `normal` everything from the LAN is the cloud PBX's; otherwise the box decides.
 */
export function plan(request: CallRequest, config: SiteConfig, view: RoutingView): RoutePlan {
  if (request.from.side === "trunk") return planInbound(request, config);
  if (view.mode === "normal") {
    const pbxs = view.trunks.filter(({ kind }) => kind === "pbx");
    const alive = pbxs.filter((each) => !isDown(each));
    const targets = alive.length > 0 ? alive : pbxs.slice(0, 1);
    const [first] = targets;
    if (first !== undefined) {
      return {
        kind: "outbound",
        steps: targets.map(({ id }) => ({ kind: "proxy_to_pbx", trunk: id })),
        because: `mode is normal: ${first.id} decides`,
      };
    }
  }
  return planOffline(request, config, view);
}

/**
 * Trunks for an emergency call: in the configured order, then the PBXs and trunks that may carry it; where sound is known
 * not to pass comes behind, and what is down comes last and is tried when nothing else answers. The mode does not matter, a drill neither.
 */
export function planEmergency(digits: string, config: SiteConfig, view: RoutingView): RoutePlan {
  const ordered = emergencyTrunks(config, view);
  // A PSAP that answers and hears nothing is worse than one that is asked a moment later.
  const rank = (each: TrunkView) => (isDown(each) ? 2 : each.path.dead_media ? 1 : 0);
  const steps = [0, 1, 2]
    .flatMap((wanted) => ordered.filter((each) => rank(each) === wanted))
    .map((each): RouteStep => ({ kind: "trunk", trunk: each.id, number: digits, last_resort: isDown(each) }));
  return {
    kind: "emergency",
    steps,
    because:
      steps.length === 0
        ? "no trunk or PBX may carry emergency calls"
        : `emergency call: ${steps.map((step) => ("trunk" in step ? step.trunk : "")).join(", then ")}`,
  };
}

/** The trunks that may carry 911, in the order of trying, health aside. Naming a trunk in `routes` allows it. */
export function emergencyTrunks(config: SiteConfig, view: RoutingView): readonly TrunkView[] {
  const named = config.emergency.routes;
  const may = ({ id, kind, roles }: TrunkView) => {
    const pbx = config.pbx_targets.find((target) => target.id === id);
    return kind === "pbx" ? pbx?.carries_emergency === true : roles.includes("emergency") || named.includes(id);
  };
  const allowed = view.trunks.filter(may);
  const rank = ({ id }: TrunkView) => (named.includes(id) ? named.indexOf(id) : named.length);
  // Sorting is stable: what is not named keeps the configured order, PBXs first.
  return [...allowed].sort((a, b) => rank(a) - rank(b));
}

function planInbound(request: CallRequest, config: SiteConfig): RoutePlan {
  const number = toE164(request.user, config);
  const did = config.dids.find((each) => each.number === number);
  if (did?.extension !== undefined) {
    return {
      kind: "inbound",
      steps: [{ kind: "ring_extension", extension: did.extension }],
      because: `${number ?? ""} is the number of ${did.extension}`,
    };
  }
  // A carrier may name our registered contact instead of a number: whatever a trunk brings is for the main number.
  const { main_group } = config.site;
  const extensions = main_group.length > 0 ? main_group : config.extensions.map(({ id }) => id);
  return extensions.length === 0
    ? reject(480, "No extension rings for the main number", "no extensions are configured")
    : { kind: "inbound", steps: [{ kind: "ring_main_group", extensions }], because: "main number: its group rings" };
}

function planOffline(request: CallRequest, config: SiteConfig, view: RoutingView): RoutePlan {
  const wanted = [request.dialled, request.user].filter((text) => text !== "");
  const extension = config.extensions.find(
    ({ number, username }) => wanted.includes(number) || wanted.includes(username),
  );
  if (extension !== undefined) {
    return {
      kind: "internal",
      steps: [{ kind: "ring_extension", extension: extension.id }],
      because: `${extension.number} is on this site`,
    };
  }
  const number = outsideNumber(request.dialled !== "" ? request.dialled : request.user, config);
  if (number === undefined)
    return reject(404, "No such number", `${request.user} is neither an extension nor a number`);
  if (number.kind === "international") {
    return reject(403, "International calls are closed while the site is offline", "international, offline");
  }
  if (number.kind === "premium") {
    return reject(403, "Premium-rate calls are closed while the site is offline", "premium rate, offline");
  }
  const target = number.kind === "service" ? number.digits : number.e164;
  if (target === config.site.main_number || config.dids.some((did) => did.number === target)) {
    return { ...planInbound({ ...request, user: target }, config), kind: "internal" };
  }
  const trunks = view.trunks.filter(({ kind, roles }) => kind === "trunk" && roles.includes("main_number"));
  const ordered = [...trunks.filter((each) => !isDown(each)), ...trunks.filter(isDown)];
  if (ordered.length === 0)
    return reject(503, "No line out while the site is offline", "no trunk carries the main number");
  return {
    kind: "outbound",
    steps: ordered.map((each) => ({ kind: "trunk", trunk: each.id, number: target, last_resort: isDown(each) })),
    because: `the PBX is away: ${target} goes out with the main number over ${ordered[0]?.id ?? ""}`,
  };
}

function reject(status: number, reason: string, because: string): RoutePlan {
  return { kind: "rejected", steps: [{ kind: "reject", status, reason, announcement: undefined }], because };
}
