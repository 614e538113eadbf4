export const HELP = {
  holdfast: `holdfast: the survivability box of a VoIP branch site

  holdfast run --config site.yaml     run a real site
  holdfast check --config site.yaml   name every error in a site file
  holdfast practice                   run the practice site (what npm start does)
  holdfast practice call 101 911      make a practice phone call a number
  holdfast practice cable pull|plug   pull or plug the practice WAN cable
  holdfast drill start|stop           rehearse an outage on a running box
  holdfast net apply|check|down       the paths' routing rules (root)

Every command explains itself with --help.`,

  run: `holdfast run --config site.yaml [--state-dir DIR] [--run-dir DIR]

Runs a real site in the foreground: engine, media, cellular and site, each restarted on its own. The site file must say
\`live: true\`. Ctrl-C ends all of them. State (database, snapshot) is kept in --state-dir, by default
/var/lib/holdfast; sockets and journals in --run-dir, by default on tmpfs. Logs go to standard output, a JSON line each.

A site file with errors is named with every one of them. A box that has a last good one in --state-dir starts with it
and raises an alarm; one that has none takes 911 calls on built-in defaults until the file is corrected.`,

  check: `holdfast check --config site.yaml

Reads a site file and names each error with file, line, key, what was found and what is allowed. Exit status 0 when
there is none, 1 otherwise.`,

  practice: `holdfast practice [--lan] [--state-dir DIR]
holdfast practice call FROM TO
holdfast practice cable pull|plug

Runs a whole site in which everything around the box is simulated: phones, cloud PBX, 911 answering point, LTE trunk,
broker, modem, UPS. Nothing leaves the machine. With --lan, real phones of the local network may register.
In another terminal, \`call\` makes a practice phone dial (101, 102 and 103 exist) and says how it went, and \`cable\`
pulls and plugs the WAN cable.`,

  drill: `holdfast drill start [--minutes N] [--config site.yaml] [--state-dir DIR] [--run-dir DIR]
holdfast drill stop [--config …]

Rehearses an outage: calls go as if the WAN were dead (mode "forced"). It ends by itself, by default after 30 minutes,
and a real 911 call ends it at once. A record of it is kept. Without directories, the running practice is meant.`,

  net: `holdfast net apply|check|down --config site.yaml

Sets, verifies or removes what keeps each path's packets on their path: ip rules, a routing table per path that ends in
"unreachable", and the packet filter. \`apply\` and \`down\` need root (CAP_NET_ADMIN); \`check\` names what is missing.`,
} as const;
