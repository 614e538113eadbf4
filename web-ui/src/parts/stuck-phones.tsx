import type { StuckPhoneRow } from "../view/stuck-phones.ts";
import type { Known } from "../view/text.ts";
import type { Words } from "../words/words.ts";
import { Card } from "./lists.tsx";

/** Left out while there is none, or while nobody knows: then the list of phones says so. */
export function StuckPhones({ phones, words: { t } }: { phones: Known<readonly StuckPhoneRow[]>; words: Words }) {
  if (!phones.known || phones.value.length === 0) return null;
  return (
    <Card id="stuck" title={t("stuck.title")}>
      <p>{t("stuck.meaning")}</p>
      <table>
        <thead>
          <tr>
            <th scope="col">{t("phones.extension")}</th>
            <th scope="col">{t("stuck.phone")}</th>
            <th scope="col">{t("stuck.since")}</th>
            <th scope="col">{t("stuck.why")}</th>
          </tr>
        </thead>
        <tbody>
          {phones.value.map((phone) => (
            <tr key={phone.key}>
              <td data-label={t("phones.extension")}>
                {phone.number} {phone.name}
              </td>
              <td data-label={t("stuck.phone")}>
                <div>
                  {phone.address}
                  <p class="faint">{phone.model}</p>
                </div>
              </td>
              <td data-label={t("stuck.since")}>{phone.since}</td>
              <td data-label={t("stuck.why")}>{phone.why}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
