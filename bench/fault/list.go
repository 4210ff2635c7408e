package fault

import "slices"

// Drills names every drill that there is, in the order of the report. A test holds
// that each is kept somewhere; [Keep] refuses others.
func Drills() []string {
	return []string{
		"A day ahead", "All five kinds", "Bit flips", "Changes in flight", "Clock jumps", "Crash points under load", "Crash points",
		"Dead and slow destinations", "Full disk", "Kills of an indexing process", "Kills", "Log fills disk", "Pause past retention",
		"Power cuts", "Random histories", "Restart storms", "Restored backups", "Upgrades",
	}
}

// absent is why a drill without a record counts as not played: it ended before it
// kept one (a panic, a build that failed), or nobody started it.
const absent = "it kept no record"

// Complete returns a record for every drill, in the order of the list, and the
// names of those that kept none, whose records say so.
func Complete(kept []Record) (all []Record, missing []string) {
	for _, name := range Drills() {
		i := slices.IndexFunc(kept, func(r Record) bool { return r.Drill == name })
		if i >= 0 {
			all = append(all, kept[i])
			continue
		}
		missing = append(missing, name)
		all = append(all, Record{Drill: name, Skipped: absent})
	}
	return all, missing
}
