import type { Scenario } from "../../scenario.ts";
import { largeRequests } from "./large-requests.ts";
import { tls } from "./tls.ts";
import { twoFamilies } from "./two-families.ts";

export const transports: readonly Scenario[] = [...tls, ...twoFamilies, ...largeRequests];
