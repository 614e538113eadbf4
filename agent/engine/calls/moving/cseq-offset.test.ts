import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CseqOffset, inserted, NO_OFFSET, ofInvite, passOn } from "./cseq-offset.ts";

const pass = (state: CseqOffset, method: string, peer: number) => passOn(state, method, peer);

describe("CSeq numbers of a dialog in which the box puts requests of its own", () => {
  test("pass unchanged while it has put in none", () => {
    const invite = pass(NO_OFFSET, "INVITE", 17);
    expect(invite.cseq).toBe(17);
    expect(pass(invite.state, "ACK", 17).cseq).toBe(17);
    expect(pass(invite.state, "INFO", 19).cseq).toBe(19);
  });

  test("are shifted behind each that it put in, and an ACK keeps the number of its INVITE", () => {
    const first = pass(NO_OFFSET, "INVITE", 1);
    const again = pass(first.state, "INVITE", 2);
    const own = inserted(again.state, 3);
    expect(pass(own, "ACK", 2).cseq).toBe(2);
    expect(ofInvite(own, 1)).toBe(1);
    const bye = pass(own, "BYE", 3);
    expect(bye.cseq).toBe(4);
    expect(bye.state.offset).toBe(1);
  });

  test("of a peer that has sent nothing yet begin behind the box's own", () => {
    const own = inserted(inserted(NO_OFFSET, 1), 2);
    const bye = pass(own, "BYE", 1);
    expect(bye.cseq).toBe(3);
    expect(pass(bye.state, "ACK", 1).cseq).toBe(3);
  });

  test("of a late request stay behind those of the later one", () => {
    const info = pass(pass(NO_OFFSET, "INVITE", 5).state, "INFO", 8);
    expect(pass(info.state, "INFO", 7).cseq).toBe(7);
  });

  test("always rise, whatever is put in between", () => {
    const step = fc.oneof(
      fc.record({ own: fc.constant(true), skip: fc.constant(0) }),
      fc.record({ own: fc.constant(false), skip: fc.nat(5) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), fc.nat(1000), (steps, first) => {
        let state = NO_OFFSET;
        let peer = first;
        let last = -1;
        for (const { own, skip } of steps) {
          if (own) {
            const cseq = (state.sent ?? 0) + 1;
            state = inserted(state, cseq);
            expect(cseq).toBeGreaterThan(last);
            last = cseq;
            continue;
          }
          peer += 1 + skip;
          const passed = passOn(state, "INFO", peer);
          expect(passed.cseq).toBeGreaterThan(last);
          last = passed.cseq;
          state = passed.state;
        }
      }),
    );
  });
});
