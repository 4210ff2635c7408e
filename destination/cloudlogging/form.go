package cloudlogging

import "github.com/sluicelog/sluice/destination"

var _ destination.Described = Kind{}

// Form implements [destination.Described].
func (Kind) Form() destination.Form {
	return destination.Form{
		Title: "Google Cloud Logging",
		About: "A log of a Google Cloud project, to be searched beside its other logs.",
		Notes: []string{
			"Enable the Cloud Logging API on your Google Cloud project.",
			"Create a service account with the role Logs Writer, and a JSON key for it.",
			"The key file can be given as a whole: only its client email and its private key are used.",
		},
		Inputs: []destination.Input{
			{Name: "config.project_id", Label: "Google project ID", Type: destination.InputText, Required: true, Example: "my-project-123456",
				Hint: "The project's id, not its name or number."},
			{Name: "config.client_email", Label: "Google client email", Type: destination.InputText,
				Example: "sluice@my-project-123456.iam.gserviceaccount.com", Hint: "Of the service account. Read from the key file when that is given as a whole."},
			{Name: "secrets." + PrivateKey, Label: "Google private key", Type: destination.InputFile, Required: true, Secret: true,
				Button: "Add a new private key", Hint: "The private key of the service account, or its whole JSON key file: paste it or drop the file in."},
			{Name: "config.log_id", Label: "Log ID", Type: destination.InputText, Default: DefaultLogID, Example: "audit/acme",
				Hint: "Any string; use it to filter in Google Cloud. Letters, digits and / _ - . are allowed."},
			{Name: "config.endpoint", Label: "Endpoint", Type: destination.InputText, Administrators: true, Example: "https://logging.example.com",
				Hint: "Where the API is, if not at " + DefaultEndpoint + ". For administrators only."},
			{Name: "config.token_url", Label: "Token URL", Type: destination.InputText, Administrators: true, Example: "https://id.example.com/token",
				Hint: "Where access tokens come from, if not from " + DefaultTokenURL + ". For administrators only."},
		},
	}
}
