import type { Binding } from "../../base/snapshot.ts";

/** Read side of the registrar, for routing and calls. */
export interface Contacts {
  /** Live bindings of an extension's address of record, newest first. */
  ofExtension(extensionId: string): readonly Binding[];
  /** The binding behind a request that arrived from this address and port, if it is a registered phone's. */
  bySource(address: string, port: number): Binding | undefined;
  /** The binding whose Path or rewritten contact carries this token. */
  byToken(token: string): Binding | undefined;
  all(): readonly Binding[];
}
