import type { Scenario } from "../../scenario.ts";
import { tls } from "./tls.ts";

export const transports: readonly Scenario[] = [...tls];
