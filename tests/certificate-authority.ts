import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface IssuedCertificate {
  readonly certificate_file: string;
  readonly key_file: string;
  readonly certificate_pem: string;
  readonly key_pem: string;
  /** Hexadecimal, upper case, as openssl prints it. */
  readonly serial: string;
}

export interface CertificateWish {
  /** subjectAltName entries: `DNS:pbx.example`, `URI:sip:pbx.example`, `IP:203.0.113.1`. None: the common name alone. */
  readonly names: readonly string[];
  /** Default: from yesterday for 90 days. */
  readonly valid?: { readonly from: Date; readonly to: Date };
}

/** A certificate authority of the test's own, made by openssl as it runs: no key is kept anywhere. */
export class CertificateAuthority {
  readonly file: string;
  readonly pem: string;
  readonly #directory: string;
  #serial = 1000;

  /** `directory` is made, and holds everything. */
  constructor(directory: string, name = "Test authority") {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    this.file = join(directory, "authority.pem");
    const key = this.#newKey("authority");
    const subject = ["-subj", `/CN=${name}`, "-days", "3650"];
    const use = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"];
    openssl(["req", "-x509", "-new", "-key", key, ...subject, ...use, "-out", this.file]);
    this.pem = readFileSync(this.file, "utf8");
    writeFileSync(join(directory, "index"), "");
    writeFileSync(
      join(directory, "ca.cnf"),
      [
        "[ca]\ndefault_ca=own",
        `[own]\ndatabase=${join(directory, "index")}\nnew_certs_dir=${directory}\nserial=${join(directory, "serial")}`,
        `certificate=${this.file}\nprivate_key=${key}\ndefault_md=sha256\npolicy=any\nunique_subject=no\n`,
        "[any]\ncommonName=supplied\n",
      ].join("\n"),
    );
  }

  /** `name` is that of the files too; the same name again replaces them, as a renewal does. */
  issue(name: string, { names, valid }: CertificateWish): IssuedCertificate {
    const at = (ending: string) => join(this.#directory, `${name}.${ending}`);
    const key_file = this.#newKey(name);
    openssl(["req", "-new", "-key", key_file, "-subj", `/CN=${name}`, "-out", at("csr")]);
    const serial = (this.#serial++).toString(16).toUpperCase();
    const padded = serial.length % 2 === 0 ? serial : `0${serial}`;
    writeFileSync(join(this.#directory, "serial"), `${padded}\n`);
    const alternative = names.length === 0 ? "" : `subjectAltName=${names.join(",")}\n`;
    writeFileSync(at("ext"), `basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n${alternative}`);
    const day_ms = 86_400_000;
    const { from, to } = valid ?? { from: new Date(Date.now() - day_ms), to: new Date(Date.now() + 90 * day_ms) };
    const dates = ["-startdate", asn1(from), "-enddate", asn1(to)];
    const files = [
      "-in",
      at("csr"),
      "-out",
      at("pem"),
      "-extfile",
      at("ext"),
      "-config",
      join(this.#directory, "ca.cnf"),
    ];
    openssl(["ca", "-batch", "-notext", ...dates, ...files]);
    return {
      certificate_file: at("pem"),
      key_file,
      certificate_pem: readFileSync(at("pem"), "utf8"),
      key_pem: readFileSync(key_file, "utf8"),
      serial: padded,
    };
  }

  #newKey(name: string): string {
    const file = join(this.#directory, `${name}.key`);
    openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", file]);
    return file;
  }
}

function asn1(date: Date): string {
  return `${date.toISOString().replace(/[-:T]/g, "").slice(0, 14)}Z`;
}

function openssl(args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: ["ignore", "pipe", "pipe"] });
}
