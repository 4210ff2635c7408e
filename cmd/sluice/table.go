package main

import (
	"context"
	"flag"
)

// commands is the table of all commands, in the order in which they are shown.
func commands() []command {
	var table []command
	table = append(table, serverCommands()...)
	table = append(table, streamCommands()...)
	table = append(table, applyCommands()...)
	table = append(table, tokenCommands()...)
	table = append(table, userCommands()...)
	table = append(table, memberCommands()...)
	table = append(table, noticeCommands()...)
	table = append(table, secretsCommands()...)
	table = append(table, searchCommands()...)
	table = append(table, logCommands()...)
	table = append(table, controlCommands()...)
	table = append(table, producerCommands()...)
	table = append(table, backupCommands()...)
	return append(table, otherCommands()...)
}

func serverCommands() []command {
	return []command{{
		name: "serve", short: "Run the server",
		long: `Takes events over HTTP, keeps them on disk and delivers them. Every setting can
be a flag, an environment variable (--retention-git is SLUICE_RETENTION_GIT), or
a key of the JSON file named by --config (retention_git), in this order. The
administrator's token can be preset by SLUICE_ADMIN_TOKEN or the key admin_token,
never by a flag.`,
		examples: []example{
			{"Try it", "sluice serve --data ./sluice-data"},
			{"Show every setting and where its value came from", "sluice serve --config /etc/sluice.json --print-config"},
			{"Deliver to receivers in the own network too", "sluice serve --data /var/lib/sluice --allow-destination 10.0.0.0/8"},
		},
		flags: serveFlags,
	}, {
		name: "demo", short: "Show the whole way of real pushes in a minute",
		long: `Starts a server and a receiver on loopback, makes a bare Git repository with the
hook, pushes to it, and shows each event accepted, stored and delivered, then the
stream's ledger. Nothing outside a temporary folder is touched. It succeeds only
when everything has arrived.`,
		examples: []example{
			{"Run it and remove every trace", "sluice demo"},
			{"Use a running server (it has to allow loopback destinations)", "SLUICE_TOKEN=... sluice demo --server http://127.0.0.1:8080"},
		},
		flags: demoFlags,
	}}
}

func serveFlags(fs *flag.FlagSet, env *Env) action {
	src := configFlags(fs)
	printOnly := fs.Bool("print-config", false, "show every setting with where it came from, and stop")
	asJSON := jsonFlag(fs)
	return func(ctx context.Context, _ []string) error {
		cfg, err := src.load(env)
		if err != nil {
			return err
		}
		if *printOnly {
			return src.print(env.Stdout, *asJSON)
		}
		return runServe(ctx, cfg, env)
	}
}

func streamCommands() []command {
	return []command{
		{name: "stream", short: "Create, watch and steer streams",
			long: "A stream is the flow of events from a top-level namespace, or from the whole\ninstance, to one destination."},
		{name: "stream create", short: "Create a stream", flags: streamCreateFlags,
			long: `Secrets and header values never stand on the command line: give them as files or
as environment variables.`,
			examples: []example{
				{"Send the events of acme to an HTTP endpoint", "sluice stream create --namespace acme --name siem --url https://siem.example.com/in"},
				{"With a filter, a header from a file and a check first", "sluice stream create --namespace acme --url https://siem.example.com/in \\\n    --event-type repo.create --filter-namespace acme/web --header-file headers.txt --check"},
				{"Another kind", "sluice stream create --namespace acme --kind splunk --set domain=hec.example.com --set port=8088 \\\n    --secret-file token=hec-token.txt"},
				{"What it would have delivered in the last seven days", "sluice stream create --namespace acme --event-type repo.create --dry-run"},
				{"From a JSON document", "sluice stream create --file stream.json"},
			}},
		{name: "stream update", args: "ID", min: 1, max: 1, short: "Change a stream", flags: streamUpdateFlags,
			long: `Only what the flags name changes. Each --set replaces one field of the
configuration, and KEY=null gives it its default; --header-file replaces all
headers; a flag of the filter replaces its list. The change takes effect at once,
and a stream that waits for its next try is tried. To stop a stream and go on, use
pause and resume.`,
			examples: []example{
				{"Another prefix for the objects in a bucket", "sluice stream update 3 --set prefix=audit"},
				{"A new token, then see whether it is accepted", "sluice stream update 3 --secret-file token=hec-token.txt\nsluice stream check 3"},
				{"All events of one project", "sluice stream update 3 --no-filter --filter-namespace acme/web"},
			}},
		{name: "stream kinds", args: "[KIND]", max: 1, short: "Show the kinds of destinations and what each needs", flags: streamKindsFlags, choices: kindNames(),
			long: "With KIND it shows what to prepare for that kind, and each field. A field config.NAME\nis set with --set NAME=VALUE, secrets.NAME with --secret-file NAME=FILE.",
			examples: []example{
				{"The kinds", "sluice stream kinds"},
				{"What a stream to a bucket needs", "sluice stream kinds s3"},
			}},
		{name: "stream list", short: "List streams with their status and ledger", flags: streamListFlags},
		{name: "stream show", args: "ID", min: 1, max: 1, short: "Show a stream: configuration, health, ledger", flags: streamShowFlags},
		{name: "stream check", args: "ID", min: 1, max: 1, short: "Prove that a stream's destination is reached and accepts", flags: streamCheckFlags,
			long: "Exits with 1 when a stage fails."},
		{name: "stream attempts", args: "ID", min: 1, max: 1, short: "List the last tries to deliver, with the destination's words", flags: streamAttemptsFlags},
		{name: "stream activity", args: "ID", min: 1, max: 1, short: "Count what a stream delivered, by minute", flags: streamActivityFlags},
		{name: "stream lag", args: "ID", min: 1, max: 1, short: "Show what waited for a stream, each ten minutes", flags: streamLagFlags,
			long: "Ten minutes in which the server did not run are left out."},
		{name: "stream pause", args: "ID...", min: 1, max: -1, short: "Stop delivering; nothing is dropped", flags: streamPauseFlags},
		{name: "stream resume", args: "ID...", min: 1, max: -1, short: "Go on delivering from where a stream stood", flags: streamResumeFlags},
		{name: "stream retry", args: "ID...", min: 1, max: -1, short: "Try a stream now that waits for its next try", flags: streamRetryFlags,
			long: "For use after a repair: a stream that fails or is held waits up to 5 minutes, or as\nlong as the destination asked for. A stream that does not wait stays\nas it is, and the command says why."},
		{name: "stream replay", args: "ID", min: 1, max: 1, short: "Send a part of the log again, by a new stream", flags: streamReplayFlags,
			long:     "The new stream has the destination, the secrets and the filter of the one that is\nnamed, which goes on as it is. With --until it is done when all has arrived.\nReceivers get the events again with the ids that they had.",
			examples: []example{{"A day that a receiver lost", "sluice stream replay 3 --start 2026-03-01T00:00:00Z --until 2026-03-02T00:00:00Z --name again"}}},
		{name: "stream delete", args: "ID...", min: 1, max: -1, short: "Delete streams and destroy their secrets", flags: streamDeleteFlags,
			long: "Delivery stops at once. What is pending is not delivered; the final ledger is\nkept in an event. Asks first, unless --yes is given."},
		{name: "stream quarantine", short: "Inspect, redeliver or drop refused events"},
		{name: "stream quarantine list", args: "ID", min: 1, max: 1, short: "List the events that a destination refused", flags: quarantineListFlags},
		{name: "stream quarantine redeliver", args: "ID [PARTITION:SEQ...]", min: 1, max: -1, short: "Deliver quarantined events again",
			flags: quarantineFlags("redeliver"),
			long: "They are tried in the background, one after the other. While the stream is paused,\n" +
				"or its destination is not there, they wait; a server that stops forgets those that\n" +
				"wait. Those that are refused again stay in quarantine.",
			examples: []example{{"Two of them", "sluice stream quarantine redeliver 3 audit:17 git:4"}, {"All of them", "sluice stream quarantine redeliver 3 --all"}}},
		{name: "stream quarantine drop", args: "ID [PARTITION:SEQ...]", min: 1, max: -1, short: "Give quarantined events up",
			flags: quarantineFlags("drop"),
			long:  "The ledger counts them as expired, and an event says who dropped them."},
	}
}

func tokenCommands() []command {
	return []command{
		{name: "token", short: "Create, list and revoke tokens"},
		{name: "token create", short: "Create a token and print it once", flags: tokenCreateFlags,
			long: `A producer token may only post events, of its top-level namespace or, with an
empty one, of the whole instance. A personal token acts for a user, as far as its
scopes go. The token goes to standard output alone, so that it can be redirected
into a file.`,
			examples: []example{
				{"A token for the producers of acme", "sluice token create --namespace acme --name ci > acme.token"},
				{"Another administrator", "sluice token create --kind admin --name bob > bob.token"},
				{"One for Jane's scripts, which only read", "sluice token create --kind personal --user jane --scope read_api --expires 2027-01-31 > jane.token"},
			}},
		{name: "token list", short: "List tokens, without their secrets", flags: tokenListFlags},
		{name: "token revoke", args: "ID...", min: 1, max: -1, short: "End tokens at once", flags: tokenRevokeFlags},
		{name: "namespace", short: "Declare and list groups and projects"},
		{name: "namespace create", args: "PATH", min: 1, max: 1, short: "Declare a group or project", flags: namespaceCreateFlags,
			long: "Namespaces are also learned from events; declaring one is needed only to\nconfigure streams before the first event.",
			examples: []example{
				{"A top-level group", "sluice namespace create acme"},
				{"A project", "sluice namespace create acme/web --kind project"},
			}},
		{name: "namespace list", short: "List groups and projects", flags: namespaceListFlags},
		{name: "namespace counts", short: "Count a namespace's events, by hour and type or by what is below it", flags: namespaceCountsFlags},
	}
}

func noticeCommands() []command {
	return []command{
		{name: "notice", short: "Choose who is told when streams fail and recover",
			long: "A notice says which stream is failing or held, since when, why, and what to do.\nIt goes to the addresses of the stream's top-level namespace, ten at most."},
		{name: "notice list", short: "List the addresses of a namespace", flags: noticeListFlags},
		{name: "notice set", short: "Replace the addresses of a namespace", flags: noticeSetFlags,
			long: "E-mails need a server that its operator has told about a mail server.",
			examples: []example{
				{"Two people and a chat", "sluice notice set --namespace acme --email jane@acme.example --email joe@acme.example --url-file hooks.txt"},
				{"Nobody", "sluice notice set --namespace acme --none"},
			}},
		{name: "notice test", short: "Send a test notice to each address", flags: noticeTestFlags,
			long: "Exits with 1 when one was not taken."},
	}
}

func secretsCommands() []command {
	return []command{
		{name: "secrets", short: "Rotate the keys that seal the secrets of streams"},
		{name: "secrets status", short: "Count sealed values by key", flags: secretsStatusFlags},
		{name: "secrets rotate", short: "Make a new key and seal everything with it", flags: secretsRotateFlags,
			long: `The running server adds a key to its key file, then seals every value anew; no
stream pauses. It may be stopped or killed at any moment and goes on at the next
start. Old keys stay in the file, because copies of the data that were made
before need them, until they are pruned.`,
			examples: []example{
				{"Rotate, then copy the key file to its safe place", "sluice secrets rotate"},
				{"Rotate after the old key was seen by others", "sluice secrets rotate --prune"},
			}},
		{name: "secrets prune", short: "Remove the keys that nothing uses from the key file", flags: secretsPruneFlags,
			long: "Secrets in older copies of the data can then be read only with an older copy of\nthe key file."},
	}
}

func searchCommands() []command {
	return []command{
		{name: "search", args: "[PHRASE...]", max: -1, short: "Find events", flags: searchFlags,
			long: `PHRASE is a search phrase as in docs/search.md; several words are one phrase.
Without it every event is found. Quote what the shell would take for itself, and
put "--" before a phrase that begins with a minus.`,
			examples: []example{
				{"What Mona did in acme", "sluice search --namespace acme actor:mona"},
				{"Everything but pushes since March, as it was accepted", "sluice search --json --limit 1000 -- '-action:git created:>=2026-03-01' | jq .event"},
			}},
		{name: "tail", args: "[PHRASE...]", max: -1, short: "Show events while they are accepted", flags: tailFlags,
			long: `Shows what comes from now on, until it is stopped. A connection that breaks is
made again, and nothing is left out meanwhile; who cannot keep up is told what was
left out.`,
			examples: []example{
				{"What happens in acme", "sluice tail --namespace acme"},
				{"Every push, for another program", "sluice tail --json type:git.push | jq .event.repo"},
			}},
		{name: "export", args: "[PHRASE...]", max: -1, short: "Write all events that a phrase finds to a file", flags: exportFlags,
			long: `The events come as they were accepted, the oldest first. FILE.part grows until it
is whole, and is then renamed to FILE. When the connection breaks the export goes
on by itself, and when it was interrupted the same command goes on with it. Each
export is recorded in the audit log. Exits with 1 when events are missing that were
found and could not be read.`,
			examples: []example{
				{"What happened in acme in March", "sluice export --namespace acme --from 2026-03-01 --to 2026-03-31 --output march.ndjson"},
				{"The Git events of a week, as a table", "sluice export --class git --from 2026-03-01 --to 2026-03-07 --format csv --output git.csv"},
				{"Straight into another program", "sluice export --namespace acme action:team | jq .actor"},
			}},
	}
}

func logCommands() []command {
	return []command{
		{name: "log", short: "Read and verify the stored log"},
		{name: "log verify", short: "Verify checksums, chain and anchor of the stored log", flags: logFlags(logVerify),
			long:     "Names every damaged or missing range. Exits with 1 when there is one.",
			examples: []example{{"All of it", "sluice log verify --data /var/lib/sluice"}}},
		{name: "log cat", short: "Print stored events", flags: logFlags(logCat),
			long: "Prints one event a line, as it was accepted. With --json each is wrapped with\nits partition, sequence number and time of acceptance. What cannot be read is named\non standard error, and the exit code is 1 then.",
			examples: []example{
				{"The Git events of a day", "sluice log cat --data /var/lib/sluice --partition git --from 2026-03-01T00:00:00Z --to 2026-03-02T00:00:00Z"},
				{"Events 100 to 110", "sluice log cat --data /var/lib/sluice --partition audit --from 100 --to 110"},
			}},
	}
}

func controlCommands() []command {
	return []command{
		{name: "control", short: "Bring damaged control state back"},
		{name: "control restore", short: "Put a snapshot in the place of damaged control state", flags: controlRestoreFlags,
			long: `For a server that refuses to start because its control.db is damaged or gone.
Takes what can be read of that file when all but its last moments is sound, else
the newest snapshot that is; it says which. The replaced files are renamed, never
removed. No accepted event is lost; what people changed since is, and deliveries
since are repeated.`,
			examples: []example{
				{"Take the best there is", "sluice control restore --data /var/lib/sluice"},
				{"Go back to a certain snapshot", "sluice control restore --data /var/lib/sluice --snapshot /var/lib/sluice/snapshots/control-20260301T120000Z.db"},
			}},
	}
}

func backupCommands() []command {
	return []command{
		{name: "backup", short: "Copy control state and log of a server that runs, or is stopped", flags: backupFlags,
			long: `Nothing that is accepted has to wait: control state is copied as it is at one
moment, and the log after it, so that it is never the older one. A second backup
into the same folder adds what is new; one that is cut off leaves the one before.
The key file is copied only with --with-key.`,
			examples: []example{{"Each night", "sluice backup --data /var/lib/sluice --to /backup/sluice"}}},
		{name: "selftest", short: "Test the disk that is to hold the data", flags: selftestFlags,
			long: `Measures how long a sync takes, looks for one that is too quick to be true, writes
events through the real log and reads them back. The report can go into a ticket.
It works in a folder of its own, which it removes; a server may run meanwhile, and
is slowed for some seconds. Exits with 1 when the disk is not fit.

Whether a disk keeps what it says is written only a loss of power can tell: --write
shows numbers until the plug is pulled, and --verify, after the start, whether
everything is there up to the last number that was seen.`,
			examples: []example{
				{"Before the first start", "sluice selftest --data /var/lib"},
				{"Over the network, before the plug is pulled", "ssh server sluice selftest --data /var/lib --write"},
				{"After the start, when 4711 was the last number", "sluice selftest --data /var/lib --verify 4711"},
			}},
		{name: "restore", short: "Make a data folder from a backup, or verify one", flags: restoreFlags,
			long: `Verifies the whole backup first. The restored log has a new identity. Streams go on
where they stood when the backup was made: what was delivered since is sent again.`,
			examples: []example{
				{"Verify a backup", "sluice restore --from /backup/sluice --check"},
				{"Restore it", "sluice restore --from /backup/sluice --data /var/lib/sluice --key-file sluice.key"},
			}},
	}
}

func producerCommands() []command {
	return []command{
		{name: "emit", short: "Send events from standard input or a growing file", flags: emitFlags,
			long: `Reads one JSON object a line. Lines that the server refuses are set aside with
the reason, and the rest goes on. When the server is away or busy, it waits.
With --follow it goes on where it stopped: FILE.offset says where, is written
only after the server acknowledged, and survives rotation and truncation of FILE.
A crash repeats at most one batch, which the server recognises as duplicates.
Exits with 1 when lines were refused.`,
			examples: []example{
				{"One event", `echo '{"action":"repo.create","repo":"acme/web","actor":"mona"}' | sluice emit`},
				{"Ship a log file, for ever", "sluice emit --follow /var/log/app/audit.ndjson --token-file /etc/sluice/producer.token"},
			}},
		{name: "git", short: "Record pushes to Git repositories"},
		{name: "git install-hook", args: "REPO", min: 1, max: 1, files: true, short: "Make a repository record every push", flags: installHookFlags,
			long: `Installs a post-receive hook that turns each updated ref into a git.push event.
A hook that is there stays and runs after it. The hook never fails a push and
never delays it by more than two seconds: when the server is away, events wait in
a spool inside the repository. Running it again changes what is given.`,
			examples: []example{
				{"A repository of acme", "sluice git install-hook /srv/git/web.git --namespace acme/web --token-file /etc/sluice/producer.token"},
				{"Take it out again", "sluice git install-hook /srv/git/web.git --uninstall"},
			}},
		{name: "git flush", args: "REPO...", min: 1, max: -1, files: true, short: "Send what waits in a repository's spool", flags: gitFlushFlags,
			long: "The next push does the same. Exits with 1 when something is left."},
		{name: "git hook", hidden: true, short: "Run as post-receive hook", flags: gitHookFlags},
	}
}

func otherCommands() []command {
	return []command{
		{name: "info", short: "Describe a server: where deliveries come from, what it offers", flags: infoFlags},
		{name: "version", short: "Print the version", flags: versionFlags},
		{name: "completion", args: "bash|zsh|fish", min: 1, max: 1, choices: []string{"bash", "zsh", "fish"}, short: "Print a completion script for a shell", flags: completionFlags,
			examples: []example{{"For this shell", "source <(sluice completion bash)"}}},
		{name: "help", args: "[COMMAND]", max: -1, short: "Show help", flags: func(*flag.FlagSet, *Env) action {
			return func(context.Context, []string) error { return nil }
		}},
	}
}
