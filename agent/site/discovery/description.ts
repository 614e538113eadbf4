import type { StatusDocument } from "../../base/status.ts";

function escaped(text: string): string {
  return text.replace(/[<>&"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** UPnP device description (Device Architecture 1.1 §2.3): what a network browser shows, with a link to the page. */
export function deviceDescription(document: StatusDocument, uuid: string): string {
  const name = `${document.practice ? "PRACTICE " : ""}Holdfast ${document.site.name}`;
  return `<?xml version="1.0" encoding="utf-8"?>
<root xmlns="urn:schemas-upnp-org:device-1-0">
<specVersion><major>1</major><minor>1</minor></specVersion>
<device>
<deviceType>urn:schemas-upnp-org:device:Basic:1</deviceType>
<friendlyName>${escaped(name.slice(0, 63))}</friendlyName>
<manufacturer>Holdfast</manufacturer>
<modelName>Holdfast</modelName>
<modelNumber>${escaped(document.box.version)}</modelNumber>
<UDN>uuid:${uuid}</UDN>
<presentationURL>/</presentationURL>
</device>
</root>
`;
}
