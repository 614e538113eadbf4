import description from "../../package.json" with { type: "json" };

/** Version of this release. */
export const VERSION: string = description.version;
