package graphql

import (
	"strconv"
	"strings"

	gql "github.com/graph-gophers/graphql-go"

	"github.com/sluicelog/sluice"
)

// class is the middle of a global id, gid://gitlab/CLASS/NUMBER. For
// destinations it says which view of a stream is meant.
type class string

const (
	groupHTTP      class = "AuditEvents::ExternalAuditEventDestination"
	instanceHTTP   class = "AuditEvents::InstanceExternalAuditEventDestination"
	groupGCP       class = "AuditEvents::GoogleCloudLoggingConfiguration"
	instanceGCP    class = "AuditEvents::Instance::GoogleCloudLoggingConfiguration"
	groupS3        class = "AuditEvents::AmazonS3Configuration"
	instanceS3     class = "AuditEvents::Instance::AmazonS3Configuration"
	groupStream    class = "AuditEvents::Group::ExternalStreamingDestination"
	instanceStream class = "AuditEvents::Instance::ExternalStreamingDestination"

	groupHeader    class = "AuditEvents::Streaming::Header"
	instanceHeader class = "AuditEvents::Streaming::InstanceHeader"
	httpFilter     class = "AuditEvents::Streaming::HTTP::NamespaceFilter"
	groupFilter    class = "AuditEvents::Group::NamespaceFilter"
	instanceFilter class = "AuditEvents::Instance::NamespaceFilter"

	classGroup            class = "Group"
	classProject          class = "Project"
	classProjectNamespace class = "Namespaces::ProjectNamespace"
)

// Kinds of streams that GitLab has, too.
const (
	kindHTTP = "http"
	kindGCP  = "cloudlogging"
	kindS3   = "s3"
)

// instance reports whether a view is of streams of the instance.
func (c class) instance() bool {
	return c == instanceHTTP || c == instanceGCP || c == instanceS3 || c == instanceStream
}

// legacy reports whether a view belongs to the legacy generation.
func (c class) legacy() bool { return c != groupStream && c != instanceStream }

// kind is the kind of the streams in a view, "" for all of them.
func (c class) kind() string {
	switch c {
	case groupHTTP, instanceHTTP:
		return kindHTTP
	case groupGCP, instanceGCP:
		return kindGCP
	case groupS3, instanceS3:
		return kindS3
	}
	return ""
}

// shows reports whether a stream of the namespace and kind is seen in a view.
func (c class) shows(namespace, kind string) bool {
	return c.instance() == (namespace == sluice.Instance) && (c.kind() == "" || c.kind() == kind)
}

// headers is the class of the headers of a view.
func (c class) headers() class {
	if c.instance() {
		return instanceHeader
	}
	return groupHeader
}

// filters is the class of the namespace filters of a view.
func (c class) filters() class {
	switch c {
	case groupHTTP:
		return httpFilter
	case instanceStream:
		return instanceFilter
	}
	return groupFilter
}

const gidPrefix = "gid://gitlab/"

func gid(c class, number int64) gql.ID {
	return gql.ID(gidPrefix + string(c) + "/" + strconv.FormatInt(number, 10))
}

// number reads a global id, which must be of the class.
func (c class) number(id string) (int64, error) {
	rest, ok := strings.CutPrefix(id, gidPrefix)
	name, digits, more := strings.Cut(rest, "/")
	if !ok || !more || name == "" {
		return 0, &topLevel{strconv.Quote(shorten(id)) + " is not a valid GitLab ID."}
	}
	if name != string(c) {
		return 0, &topLevel{strconv.Quote(shorten(id)) + " is not a valid ID for " + string(c) + "."}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != digits {
		return 0, &topLevel{strconv.Quote(shorten(id)) + " is not a valid GitLab ID."}
	}
	return n, nil
}

// shorten cuts what a caller sent for a message.
func shorten(s string) string {
	if len(s) > 128 {
		s = s[:128] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

// partBits is how much of the number of a part is its own. Streams up to 2^27
// have parts whose numbers other languages read without loss.
const partBits = 26

// part numbers a header or namespace filter of a stream by its number there.
func part(stream sluice.StreamID, own int64) int64 { return int64(stream)<<partBits | own }

// whole is the stream that a part belongs to.
func whole(part int64) sluice.StreamID { return sluice.StreamID(part >> partBits) }
