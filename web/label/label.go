// Package label is the table of the words on buttons, tabs and fields that people
// know from GitHub and GitLab. Templates show them and tests look for them, so
// that both mean the same.
package label

// Words are the words as the pages show them.
type Words struct {
	SearchOrGoTo, AuditLog, Log, LogStreaming, Export                                       string
	ConfigureStream, CheckEndpoint, Save, PauseStream, ResumeStream, DeleteStream, Filtered string
	Name, Active, AddHeader, Delete, VerificationToken, FilterByType, FilterByNamespace     string
	Splunk, EventHubs, AmazonS3, CloudLogging, HTTPEndpoint                                 string
	Domain, Port, Token, SSL, DestinationURL, CustomHeaders                                 string
	BucketName, AccessKeyID, SecretAccessKey, Region, AddSecretKey                          string
	GoogleProject, GoogleEmail, GoogleKey, LogID, AddPrivateKey                             string
}

// English returns the words.
func English() Words {
	return Words{
		SearchOrGoTo:      "Search or go to",
		AuditLog:          "Audit log",
		Log:               "Log",
		LogStreaming:      "Log streaming",
		Export:            "Export",
		ConfigureStream:   "Configure stream",
		CheckEndpoint:     "Check endpoint",
		Save:              "Save",
		PauseStream:       "Pause stream",
		ResumeStream:      "Resume stream",
		DeleteStream:      "Delete stream",
		Filtered:          "filtered",
		Name:              "Name",
		Active:            "Active",
		AddHeader:         "Add header",
		Delete:            "Delete",
		VerificationToken: "Verification token",
		FilterByType:      "Filter by audit event type",
		FilterByNamespace: "Filter by groups or projects",
		Splunk:            "Splunk",
		EventHubs:         "Azure Event Hubs",
		AmazonS3:          "Amazon S3",
		CloudLogging:      "Google Cloud Logging",
		HTTPEndpoint:      "HTTP endpoint",
		Domain:            "Domain",
		Port:              "Port",
		Token:             "Token",
		SSL:               "Enable SSL verification",
		DestinationURL:    "Destination URL",
		CustomHeaders:     "Custom HTTP headers",
		BucketName:        "Bucket name",
		AccessKeyID:       "Access key ID",
		SecretAccessKey:   "Secret access key",
		Region:            "AWS region",
		AddSecretKey:      "Add a new Secret Access Key",
		GoogleProject:     "Google project ID",
		GoogleEmail:       "Google client email",
		GoogleKey:         "Google private key",
		LogID:             "Log ID",
		AddPrivateKey:     "Add a new private key",
	}
}

// Fields returns the labels of fields that the two products have, too. The others
// are our own, and less often needed.
func (w Words) Fields() []string {
	return []string{w.Domain, w.Port, w.Token, w.SSL, w.DestinationURL, w.CustomHeaders, w.BucketName, w.AccessKeyID, w.SecretAccessKey, w.Region,
		w.GoogleProject, w.GoogleEmail, w.GoogleKey, w.LogID}
}

// Same is a row of the table: what the two products call a thing that has one
// name here; "" is what a product does not have. Several names are divided by
// semicolons.
type Same struct{ GitHub, GitLab, Ours string }

// Names says where the pages differ from either product. docs/pages.md has the same
// table, for people who come from there.
func Names() []Same {
	w := English()
	return []Same{
		{"enterprise", "Search or go to", w.SearchOrGoTo},
		{"Settings; Audit log", "Secure > Audit events", w.AuditLog},
		{"Log streaming tab", "Streams tab", w.LogStreaming},
		{"Configure stream", "Add streaming destination", w.ConfigureStream},
		{"Save", "Add; Save", w.Save},
		{"Delete stream", "Delete destination", w.DeleteStream},
		{"Amazon S3", "AWS S3", w.AmazonS3},
		{"", "HTTP endpoint", w.HTTPEndpoint},
		{"bucket", "Bucket Name", w.BucketName},
		{"access key ID", "Access Key ID", w.AccessKeyID},
		{"secret key", "Secret Access Key", w.SecretAccessKey},
		{"", "AWS Region", w.Region},
	}
}
