package web

import (
	"slices"
	"strings"

	"github.com/sluicelog/sluice/control"
)

// preset is a search that people who watch over an enterprise make often.
type preset struct {
	Label string
	types []string // of events, or their categories, in both vocabularies
	class string
}

// presets is the table of them.
func presets() []preset {
	return []preset{
		{Label: "Streams changed", types: []string{"stream", "audit_log_streaming", "create_event_streaming_destination", "update_event_streaming_destination",
			"destroy_event_streaming_destination", "created_group_audit_event_streaming_destination", "updated_group_audit_event_streaming_destination",
			"deleted_group_audit_event_streaming_destination", "audit_events_streaming_headers_create", "audit_events_streaming_headers_update",
			"audit_events_streaming_headers_destroy"}},
		{Label: "Sign-ins", types: []string{"user.sign_in", "user.sign_out", "user.login", "user.logout", "authenticated_with_password", "authenticated_with_oauth", "authenticated_with_ldap",
			"authenticated_with_two_factor", "authenticated_with_webauthn", "authenticated_with_group_saml", "user_signed_in_from_unseen_ip", "user_impersonation"}},
		{Label: "Failed", types: []string{"user.sign_in_delayed", "user.failed_login", "user.two_factor_challenge_failure", "user.device_verification_failure", "omniauth_login_failed",
			"login_failed_with_standard_authentication", "login_failed_with_otp_authentication", "login_failed_with_webauthn_authentication", "password_reset_failed",
			"stream.failing", "stream.held", "protected_branch.rejected_ref_update"}},
		{Label: "Members", types: []string{"member", "member_created", "member_updated", "member_destroyed", "org.add_member", "org.remove_member", "org.update_member", "org.invite_member",
			"team.add_member", "team.remove_member", "repo.add_member", "repo.remove_member", "repo.update_member", "business.add_admin", "business.remove_admin", "business.remove_member",
			"enterprise_team.add_member", "enterprise_team.remove_member"}},
		{Label: "Tokens and keys", types: []string{"token", "personal_access_token", "personal_access_token_created", "personal_access_token_revoked", "deploy_token_created", "deploy_token_destroyed",
			"public_key", "deploy_key_added", "deploy_key_removed", "add_ssh_key", "remove_ssh_key", "gpg_key", "add_gpg_key", "remove_gpg_key", "oauth_access", "oauth_authorization"}},
		{Label: "Repositories", types: []string{"repo", "project_created", "project_destroyed", "project_archived", "project_unarchived", "project_visibility_level_updated", "project_path_updated"}},
		{Label: "Protection", types: []string{"protected_branch", "repository_ruleset", "protected_branch_created", "protected_branch_updated", "protected_branch_removed",
			"repository_branch_protection_evaluation", "repository_secret_scanning_push_protection", "two_factor_authentication", "org.disable_two_factor_requirement", "user_disable_two_factor"}},
		{Label: "Exports", types: []string{"audit_log.export", "org.audit_log_export", "business.audit_log_export", "org.audit_log_git_event_export", "business.audit_log_git_event_export",
			"project_export_created", "group_export_created", "project_export_file_download_started"}},
		{Label: "Git events", class: "git"},
	}
}

// presetLinks are the presets as links; they keep the dates and the order.
func presetLinks(root string, q logQuery) []link {
	var out []link
	for _, p := range presets() {
		phrase := p.phrase()
		out = append(out, link{
			Label: p.Label, Current: q.Phrase == phrase && q.Class == p.class && q.Type == "" && q.Author == "",
			Address: q.with(root, func(q *logQuery) { q.Phrase, q.Class, q.Type, q.Author = phrase, p.class, "", "" }),
		})
	}
	return out
}

func (p preset) phrase() string {
	parts := make([]string, len(p.types))
	for i, name := range p.types {
		parts[i] = "action:" + name
	}
	return strings.Join(parts, " ")
}

// suggestion is something to write into the field for the phrase.
type suggestion struct{ Value, Label string }

// suggestions are what a phrase can be made of, with the types and authors of the
// events that are there.
func suggestions(types *typeChoices, rows []eventRow) []suggestion {
	examples := map[string]string{
		"action": "a type, or its first part", "actor": "who did it", "user": "to whom", "operation": "create, access, modify, remove ...", "repo": "owner/name",
		"created": "2026-01-31, >=2026-01-01, 2026-01-01..2026-01-31", "country": "a code or a name", "ip": "an address", "namespace": "a group or project and what is below",
		"target": "on what", "source": "the token of the producer", "id": "an event's id", "hashed_token": "with which token",
	}
	var out []suggestion
	for _, name := range control.PhraseQualifiers() {
		if text := examples[name]; text != "" {
			out = append(out, suggestion{name + ":", text})
		}
	}
	byNumber := slices.SortedFunc(slices.Values(types.List), func(a, b typeChoice) int { return int(min(b.Events, 1<<30)) - int(min(a.Events, 1<<30)) })
	for _, t := range byNumber[:min(len(byNumber), 20)] {
		about := "a type of events"
		if types.Counted {
			about = count(t.Events) + " events"
		}
		out = append(out, suggestion{"action:" + t.Name, about})
	}
	for _, name := range authors(rows) {
		out = append(out, suggestion{qualified("actor", name), "on this page"})
	}
	return out
}

// authors lists the authors of a page's events.
func authors(rows []eventRow) []string {
	var out []string
	for _, r := range rows {
		if r.Actor != "" && !slices.Contains(out, r.Actor) {
			out = append(out, r.Actor)
		}
	}
	return out
}
