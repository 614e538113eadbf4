import type { SipRequest } from "../sip/messages/message.ts";
import type { Flow } from "../sip/transport/flow.ts";
import type { TransportLayer } from "../sip/transport/transport.ts";

/**
 * Keeps requests of strangers from the transaction layer, where each would hold a transaction and an INVITE would earn
 * a 100 by itself. Responses pass: they match a request of ours or are stray.
 */
export class Admission {
  /** What the transaction layer is to be built on. */
  readonly transport: TransportLayer;
  /** Who is known; nobody until this is set. */
  admits: (flow: Flow) => boolean = () => false;
  /** A request that is not taken up yet: its sender repeats it. */
  leaves: (request: SipRequest, flow: Flow) => boolean = () => false;
  /** Called for each stranger's request that was thrown away. */
  onStranger: () => void = () => {};

  constructor(transport: TransportLayer) {
    this.transport = {
      listen: (at) => transport.listen(at),
      flowTo: (destination) => transport.flowTo(destination),
      send: (flow, message, onError) => transport.send(flow, message, onError),
      keepAlive: (flow, handlers) => transport.keepAlive(flow, handlers),
      flowForResponse: (response, flow) => transport.flowForResponse(response, flow),
      sentBy: (flow) => transport.sentBy(flow),
      close: (flow) => transport.close(flow),
      onMessage: (handler) =>
        transport.onMessage((message, flow, bytes) => {
          if (message.kind === "response") handler(message, flow, bytes);
          else if (!this.admits(flow)) this.onStranger();
          else if (!this.leaves(message, flow)) handler(message, flow, bytes);
        }),
      onMalformed: (handler) => transport.onMalformed(handler),
      onFlowClosed: (handler) => transport.onFlowClosed(handler),
      onPong: (handler) => transport.onPong(handler),
      tap: (tap) => transport.tap(tap),
      counters: transport.counters,
      shutdown: () => transport.shutdown(),
    };
  }
}
