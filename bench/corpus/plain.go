package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

const (
	eventSize    = 1048 // bytes, with the line break
	pathKey      = `,"entity_path":"`
	tenantOffset = len(head) + len(pathKey)
	tenantLength = len("org-0000")
)

var kinds = [...]struct{ event, target, message string }{
	{"member_created", "User", "Added member with Developer access"},
	{"member_updated", "User", "Changed access level from Developer to Maintainer"},
	{"member_destroyed", "User", "Removed member"},
	{"project_created", "Project", "Added project"},
	{"protected_branch_created", "ProtectedBranch", "Added protected branch with allowed to push: Maintainers"},
	{"merge_request_create", "MergeRequest", "Added merge request"},
	{"merge_request_merged", "MergeRequest", "Merged merge request"},
	{"deploy_token_created", "DeployToken", "Created deploy token with scopes read_repository"},
	{"project_access_token_created", "PersonalAccessToken", "Created project access token"},
	{"login_failed_with_standard_authentication", "User", "Failed to login with STANDARD authentication"},
	{"ci_variable_updated", "Ci::Variable", "Changed protected from false to true"},
	{"push_rules_commit_committer_check_updated", "PushRule", "Changed commit_committer_check from false to true"},
}

// templates makes the 1,000 events of the plain corpus.
func templates(r *rand.Rand) [][]byte {
	words := lexicon(r, 2000)
	list := make([][]byte, 1000)
	for i := range list {
		list[i] = template(r, words)
	}
	return list
}

func template(r *rand.Rand, words []string) []byte {
	k := kinds[r.IntN(len(kinds))]
	actor := words[r.IntN(200)] + "." + words[r.IntN(400)]
	group := fmt.Sprintf("/%s/%s-%s", words[r.IntN(20)], words[r.IntN(50)], words[r.IntN(20)])
	ip := fmt.Sprintf("10.%d.%d.%d", r.IntN(256), r.IntN(256), 1+r.IntN(254))
	target, author, entity := r.IntN(1_000_000), 1+r.IntN(40_000), 1+r.IntN(90_000)
	var b strings.Builder
	b.WriteString(head)
	fmt.Fprintf(&b, `%s%s%s","event_type":%q,"author_id":%d,"author_name":%q,"entity_id":%d,"entity_type":"Project"`,
		pathKey, Tenant(0), group, k.event, author, actor, entity)
	fmt.Fprintf(&b, `,"ip_address":%q,"created_at":"2026-0%d-%02dT%02d:%02d:%02d.%03dZ","target_id":%d,"target_type":%q,"target_details":%q`,
		ip, 1+r.IntN(9), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000), target, k.target, words[r.IntN(2000)])
	fmt.Fprintf(&b, `,"details":{"event_name":%q,"author_name":%q,"author_email":"%s@example.com","author_class":"User","target_id":%d,"target_type":%q`,
		k.event, actor, actor, target, k.target)
	fmt.Fprintf(&b, `,"ip_address":%q,"correlation_id":"01%024X","custom_message":"%s: `, ip, r.Uint64(), k.message)
	const end = `"}}` + "\n"
	for b.Len() < eventSize-len(end)-12 {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(' ')
	}
	for range r.IntN(24) { // lengths differ a little, about the mean
		b.WriteByte("abcdefgh"[r.IntN(8)])
	}
	b.WriteString(end)
	return []byte(b.String())
}

// lexicon makes n pronounceable words; the first ones are the shortest.
func lexicon(r *rand.Rand, n int) []string {
	const consonants, vowels = "bcdfghjklmnprstvwz", "aeiou"
	list := make([]string, n)
	for i := range list {
		var b strings.Builder
		for range 2 + r.IntN(2+i*3/n) {
			b.WriteByte(consonants[r.IntN(len(consonants))])
			b.WriteByte(vowels[r.IntN(len(vowels))])
		}
		if r.IntN(3) == 0 {
			b.WriteByte(consonants[r.IntN(len(consonants))])
		}
		list[i] = b.String()
	}
	return list
}
