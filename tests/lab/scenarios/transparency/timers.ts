/** Session timers (RFC 4028): who refreshes is the ends' affair; the box only must not stand in the way, nor give up media. */
import { lan, tones_hz } from "../../addresses.ts";
import { header, type SeenMessage } from "../../capture/sip.ts";
import { now, sleep } from "../../deadline.ts";
import type { Lab } from "../../lab.ts";
import { pbxFeatures } from "../../peers/pbx-features.ts";
import { pause } from "../../peers/sipp-scenario.ts";
import { expect, type Scenario } from "../../scenario.ts";
import { hangUp } from "../../story.ts";
import { type Passage, Watch } from "../../transparency.ts";
import { Calling, caller_hz } from "./calling.ts";
import { connect, Sounds } from "./sounds.ts";
import { cast, site } from "./stage.ts";

/** Far below what anybody uses (RFC 4028 §4: 90 s at least), so that several refreshes come within the scenario. */
const SESSION_S = 4;

const sessionExpires = (message: SeenMessage): string | undefined => header(message, "session-expires");

async function byUpdate(lab: Lab): Promise<void> {
  const { linphone104, linphone105 } = cast(lab);
  const timed = ["session_expires_enabled=1", `session_expires_min_value=${SESSION_S - 2}`];
  await linphone104.restart({ sip: [...timed, "session_expires_value=2"] });
  await linphone105.restart({ sip: [...timed, `session_expires_value=${SESSION_S}`] });
  const watch = new Watch(lab);
  for (const phone of [linphone104, linphone105]) phone.forget();
  const sounds = new Sounds(lab, [linphone104, linphone105]);
  await lab.step("the PBX finds the session too short (422); linphone104 asks again for a longer one", async () => {
    await connect(linphone104, linphone105, `${pbxFeatures.timed.number}${linphone105.user}`);
    const { received } = await watch.passage("422 INVITE");
    expect(header(received, "min-se") !== undefined, "the 422 has no Min-SE");
  });
  await lab.step("two refreshes by UPDATE pass while they talk", async () => {
    const refresh = async (after: number) =>
      (await watch.passage("200 UPDATE", 5 * SESSION_S * 1000, ({ received }) => received.at > after)).sent.at;
    const first = await refresh(0);
    await refresh(first);
    await sounds.hears([linphone104, linphone105], [linphone105, linphone104]);
  });
  await hangUp(linphone104, linphone105);
  sounds.stop();
  await Promise.all([linphone104, linphone105].map((phone) => phone.restart()));
  const said = watch.passages.passed.filter(({ received }: Passage) => sessionExpires(received) !== undefined);
  expect(
    ["INVITE", "200 INVITE", "UPDATE", "200 UPDATE"].every((label) => said.some((each) => each.label === label)),
    `Session-Expires was in ${said.map(({ label }) => label).join(", ")} only`,
  );
  await watch.unchanged("INVITE", "422 INVITE", "200 INVITE", "ACK", "UPDATE", "200 UPDATE", "BYE", "200 BYE");
}

/** No telephone here refreshes by re-INVITE: SIPp does, and baresip answers. */
async function byInvite(lab: Lab): Promise<void> {
  const { baresip101 } = cast(lab);
  const watch = new Watch(lab);
  baresip101.forget();
  const ear = lab.captures.lan.listen(lan.box, baresip101.address);
  const timer = ["Supported: timer", `Session-Expires: ${SESSION_S};refresher=uac`, "Min-SE: 2"];
  const calling = await new Calling(baresip101.user).start(lab, "refreshes-by-invite", timer, (self) => [
    ...[pause(1500), ...self.offers("[media_ip]", timer)],
    ...[pause(1500), ...self.offers("[media_ip]", timer)],
    ...[pause(1500), ...self.hangsUp()],
  ]);
  await baresip101.ringing(3000);
  await baresip101.answer();
  await baresip101.established(3000);
  await lab.step("two refreshes by re-INVITE pass while the sound goes on", async () => {
    const start = now();
    const refreshed = ({ received }: Passage) => header(received, "cseq") === "3 INVITE";
    await watch.passage("200 INVITE", 8000, refreshed);
    await sleep(500);
    const heard = ear.heard(start, now(), tones_hz);
    const [ms, gap] = [heard.ms_by_tone.get(caller_hz) ?? 0, heard.longest_gap_ms];
    lab.timeline.note(`baresip101 is sent the caller's tone for ${ms} of ${now() - start} ms, longest gap ${gap} ms`);
    expect(ms >= 2500 && gap <= 200, `the sound did not go on: ${ms} ms, with a gap of ${gap} ms`);
  });
  await calling.ended(10_000);
  await baresip101.closed(3000);
  ear.stop();
  await watch.unchanged("INVITE", "200 INVITE", "ACK", "BYE", "200 BYE");
}

export const timers: readonly Scenario[] = [
  {
    name: "session-timer-update",
    summary: "Session-Expires, Min-SE and 422 pass; a session is refreshed by UPDATE and its sound goes on",
    short: true,
    stage: site,
    run: byUpdate,
  },
  {
    name: "session-timer-invite",
    summary: "a session is refreshed by re-INVITE and its sound goes on",
    short: true,
    stage: site,
    run: byInvite,
  },
];
