package rest

import (
	"bytes"

	"github.com/sluicelog/sluice"
)

// column is a member of an event that a table shows.
type column uint8

const (
	noColumn column = iota
	columnID
	columnDocumentID
	columnAuthorID
	columnActorID
	columnAuthorName
	columnActor
	columnAuthorEmail
	columnActorEmail
	columnEntityID
	columnEntityType
	columnEntityPath
	columnRepo
	columnRepoID
	columnOrg
	columnOrgID
	columnBusiness
	columnBusinessID
	columnTargetID
	columnUserID
	columnTargetType
	columnTargetDetails
	columnUser
	columnCustomMessage
	columnMessage
	columnEventType
	columnAction
	columnIPAddress
	columnActorIP
	columnDetails // an object that is looked into
	columnCount
)

// columnOf returns what a member of this name is for.
func columnOf(name []byte) column {
	switch string(name) {
	case "id":
		return columnID
	case "_document_id":
		return columnDocumentID
	case "author_id":
		return columnAuthorID
	case "actor_id":
		return columnActorID
	case "author_name":
		return columnAuthorName
	case "actor":
		return columnActor
	case "author_email":
		return columnAuthorEmail
	case "actor_email":
		return columnActorEmail
	case "entity_id":
		return columnEntityID
	case "entity_type":
		return columnEntityType
	case "entity_path":
		return columnEntityPath
	case "repo":
		return columnRepo
	case "repo_id":
		return columnRepoID
	case "org":
		return columnOrg
	case "org_id":
		return columnOrgID
	case "business":
		return columnBusiness
	case "business_id":
		return columnBusinessID
	case "target_id":
		return columnTargetID
	case "user_id":
		return columnUserID
	case "target_type":
		return columnTargetType
	case "target_details":
		return columnTargetDetails
	case "user":
		return columnUser
	case "custom_message":
		return columnCustomMessage
	case "message":
		return columnMessage
	case "event_type":
		return columnEventType
	case "action":
		return columnAction
	case "ip_address":
		return columnIPAddress
	case "actor_ip":
		return columnActorIP
	case "details":
		return columnDetails
	}
	return noColumn
}

// shown are the values of an object that a table shows, as they stand in the
// event; nil where there is none. Of a name that comes twice the last value counts.
type shown [columnCount][]byte

// read goes once through an object that is valid JSON without white space between
// its tokens, as the log holds events. Of anything else it reads some of it.
func (m *shown) read(src []byte) {
	*m = shown{}
	for i := 1; at(src, i) == '"'; i++ {
		end := endOfString(src, i)
		name := src[i+1 : max(i+1, end-1)]
		if bytes.IndexByte(name, '\\') >= 0 {
			name = sluice.AppendUnescaped(nil, name)
		}
		i = endOfValue(src, end+1)
		if c := columnOf(name); c != noColumn {
			m[c] = src[min(end+1, i):i]
		}
	}
}

// at returns the byte at i, 0 behind the end.
func at(src []byte, i int) byte {
	if uint(i) < uint(len(src)) {
		return src[i]
	}
	return 0
}

// endOfString returns the index behind the string at i.
func endOfString(src []byte, i int) int {
	start := i + 1
	for end := start; end < len(src); end++ {
		n := bytes.IndexByte(src[end:], '"')
		if n < 0 {
			break
		}
		end += n
		before := end
		for before > start && src[before-1] == '\\' {
			before--
		}
		if (end-before)%2 == 0 {
			return end + 1
		}
	}
	return len(src)
}

// endOfValue returns the index behind the value at i.
func endOfValue(src []byte, i int) int {
	depth := 0
	for i < len(src) {
		switch src[i] {
		case '"':
			i = endOfString(src, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':':
			i++
			continue
		default:
			for i < len(src) && src[i] != ',' && src[i] != '}' && src[i] != ']' {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return len(src)
}
