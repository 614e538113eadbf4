/** What is used of the optional package onoff, so that types hold where it is not installed. */
declare module "onoff" {
  export class Gpio {
    constructor(gpio: number, direction: "in", edge: "both");
    readSync(): 0 | 1;
    watch(callback: (error: Error | null | undefined, value: 0 | 1) => void): void;
    unwatchAll(): void;
    unexport(): void;
  }
}
