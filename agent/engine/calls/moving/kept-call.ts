import { dialogFromJson } from "../../../sip/dialogs/dialog.ts";
import type { KeptMedia } from "../proxy-media.ts";
import type { KeptDialog } from "./kept-dialog.ts";

/** A forwarded call as it outlives the engine. */
export interface KeptCall {
  readonly v: 1;
  readonly dialog: KeptDialog;
  readonly media: KeptMedia | undefined;
  /** The trunk or detour over which its media goes. */
  readonly on: string;
}

/** The files are ours and whole or absent: this tells our own version from another one's. */
export function isKeptCall(value: unknown): value is KeptCall {
  if (typeof value !== "object" || value === null) return false;
  const { v, dialog, on } = value as Record<string, unknown>;
  if (v !== 1 || typeof on !== "string" || typeof dialog !== "object" || dialog === null) return false;
  const { leg, far, near } = dialog as Record<string, unknown>;
  return typeof leg === "string" && dialogFromJson(far) !== undefined && dialogFromJson(near) !== undefined;
}
