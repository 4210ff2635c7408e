package s3

import "github.com/sluicelog/sluice/destination"

var _ destination.Described = Kind{}

// Form implements [destination.Described].
func (Kind) Form() destination.Form {
	return destination.Form{
		Title: "Amazon S3",
		About: "Objects in a bucket of Amazon, or of another server that speaks its protocol, to be kept as long as you need them.",
		Notes: []string{
			"Block public access to the bucket to protect your audit log.",
			"Create an access key for a user that may put objects into the bucket (s3:PutObject); it needs no other right.",
			"Events become objects: lines of JSON, compressed with gzip.",
		},
		Inputs: []destination.Input{
			{Name: "config.access_key_id", Label: "Access key ID", Type: destination.InputText, Required: true, Example: "ABCAIOSFODNN7EXAMPLE1",
				Hint: "Of the access key that stores the objects."},
			{Name: "secrets." + SecretAccessKey, Label: "Secret access key", Type: destination.InputText, Required: true, Secret: true,
				Button: "Add a new Secret Access Key", Example: "aBcJalrXUtnWXYZ/A1MDENG/zPxRfiCYEXAMPLEKEY",
				Hint: "It was shown when the access key was made."},
			{Name: "config.bucket", Label: "Bucket name", Type: destination.InputText, Required: true, Example: "auditlog-streaming-test",
				Hint: "The name alone, not an ARN or a URL."},
			{Name: "config.region", Label: "AWS region", Type: destination.InputText, Empty: "Auto detect", Example: "eu-central-1",
				Hint: "Where the bucket lies. Found out when it is left out, except in China and GovCloud."},
			{Name: "config.prefix", Label: "Prefix", Type: destination.InputText, Example: "audit/acme",
				Hint: "Goes before the key of every object, with a slash between."},
			{Name: "config.endpoint", Label: "Endpoint", Type: destination.InputText, Example: "https://s3.example.com",
				Hint: "The URL of a server other than Amazon's."},
			{Name: "config.force_path_style", Label: "Path-style addresses", Type: destination.InputCheckbox, Default: false,
				Hint: "Put the bucket into the path of URLs instead of the host name. Selected when there is an endpoint and it is left out."},
			{Name: "config.object_bytes", Label: "Bytes of an object", Type: destination.InputNumber, Default: defaultObjectBytes,
				Min: minObjectBytes, Max: maxObjectBytes, Hint: "An object is complete at this compressed size."},
			{Name: "config.object_events", Label: "Events of an object", Type: destination.InputNumber, Default: defaultObjectEvents,
				Min: minObjectEvents, Max: maxObjectEvents, Hint: "Or with this many events."},
			{Name: "config.object_seconds", Label: "Seconds until an object is complete", Type: destination.InputNumber, Default: defaultObjectSeconds,
				Min: minObjectSeconds, Max: maxObjectSeconds, Hint: "Or when its first event is this old."},
		},
	}
}
