package index

// use says what a member of an event is to the index.
type use uint8

const (
	useless   use = iota
	useTerm       // its value is a term of a field
	useWords      // its words are terms
	useTarget     // both: a term of FieldTarget, and words
	useInside     // an object whose members are used like those of the event
	useEntity     // entity_type, entity_id or entity_path: see [Terms.entity]
)

// usage is the table of what is indexed, by the names of members, in both
// vocabularies. It holds for the event's own members and, as far as they are no
// objects, for those of details, data and actor_location. Of an array every
// element counts, of a number its digits; true, false and null are no terms.
//
// What the log's directory tells of an event is not in it: type, category,
// namespace and source.
func usage(name []byte) (use, Field) {
	switch string(name) {
	case "actor", "author_name":
		return useTerm, FieldActor
	case "actor_id", "author_id":
		return useTerm, FieldActorID
	case "user":
		return useTerm, FieldUser
	case "user_id":
		return useTerm, FieldUserID
	case "org":
		return useTerm, FieldOrg
	case "org_id":
		return useTerm, FieldOrgID
	case "repo", "repository":
		return useTerm, FieldRepo
	case "repo_id", "repository_id":
		return useTerm, FieldRepoID
	case "business":
		return useTerm, FieldBusiness
	case "business_id":
		return useTerm, FieldBusinessID
	case "operation_type":
		return useTerm, FieldOperation
	case "ip_address", "actor_ip":
		return useTerm, FieldIP
	case "country_code", "country_name", "actor_location.country_code":
		return useTerm, FieldCountry
	case "hashed_token":
		return useTerm, FieldToken
	case "oauth_application_id", "oauth_app_id":
		return useTerm, FieldApp
	case "target_id", "target_type":
		return useTerm, FieldTarget
	case "target_details":
		return useTarget, FieldTarget
	case "custom_message", "message", "name", "note", "description", "title", "reason", "comment", "explanation",
		"change", "from", "to", "add", "remove", "as", "with", "failed_login":
		return useWords, FieldWord
	case "details", "data", "actor_location":
		return useInside, 0
	case "entity_type":
		return useEntity, FieldKind
	case "entity_id":
		return useEntity, FieldEntity
	case "entity_path":
		return useEntity, FieldRepo
	}
	return useless, 0
}
