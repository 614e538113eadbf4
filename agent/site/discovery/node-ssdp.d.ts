/** The part of node-ssdp that is used here; the package has no types of its own. */
declare module "node-ssdp" {
  export interface ServerOptions {
    readonly location: string;
    readonly udn: string;
    readonly ssdpSig?: string;
    readonly adInterval?: number;
    readonly ttl?: number;
    readonly interfaces?: readonly string[];
    readonly suppressRootDeviceAdvertisements?: boolean;
    readonly customLogger?: (...parts: readonly unknown[]) => void;
  }
  export interface RemoteInfo {
    readonly address: string;
    readonly port: number;
  }
  export class Server {
    constructor(options: ServerOptions);
    /** By the address of the interface. */
    readonly sockets: Readonly<Record<string, { setMulticastInterface(address: string): void }>>;
    addUSN(device: string): void;
    start(): Promise<void>;
    stop(): void;
    _parseMessage(message: Uint8Array, remote: RemoteInfo): void;
  }
}
