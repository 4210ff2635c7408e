package webhook

import (
	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

var _ destination.Described = Kind{}

// Form implements [destination.Described].
func (Kind) Form() destination.Form {
	return destination.Form{
		Title: "HTTP endpoint",
		About: "Any service that takes JSON by HTTP POST, also one of your own.",
		Notes: []string{
			"For better security, use an SSL certificate on the destination URL.",
			"An event counts as delivered when the receiver answers with a 2xx status, and is sent again until then.",
			"An event can arrive more than once: use the id in it to deduplicate.",
		},
		Inputs: []destination.Input{
			{Name: "config.url", Label: "Destination URL", Type: destination.InputText, Required: true, Example: "https://siem.example.com/events",
				Hint: "Takes POST requests, over https or http. Redirects are not followed."},
			{Name: "config.headers", Label: "Custom HTTP headers", Type: destination.InputList, Max: sluice.MaxStreamHeaders, Button: "Add header",
				Hint: "Sent with every request, at most 20. One that is not active is kept and not sent.",
				Columns: []destination.Input{
					{Name: "name", Label: "Name", Type: destination.InputText, Required: true, Hint: "Compared without case.", Example: "Authorization"},
					{Name: "value", Label: "Value", Type: destination.InputText, Required: true, Secret: true, Hint: "One line of at most 2,000 bytes."},
					{Name: "active", Label: "Active", Type: destination.InputCheckbox, Default: true, Hint: "Send this header with the events."},
				}},
			{Name: "config.format", Label: "Format", Type: destination.InputChoice, Default: string(FormatEvent), Hint: "How events are put into requests.",
				Options: []destination.Option{{Value: string(FormatEvent), Label: "One event a request"},
					{Value: string(FormatArray), Label: "JSON array of events"}, {Value: string(FormatNDJSON), Label: "One event a line (NDJSON)"}}},
			{Name: "config.concurrency", Label: "Requests at once", Type: destination.InputNumber, Default: defaultConcurrency, Min: 1, Max: maxConcurrency,
				When: "config.format=" + string(FormatEvent), Hint: "For one event a request. 1 keeps events strictly in order."},
			{Name: "config.ssl_verify", Label: "Enable SSL verification", Type: destination.InputCheckbox, Default: true,
				Hint: "Leave it selected: without it nobody knows who receives the events."},
			{Name: "secrets." + VerificationToken, Label: "Verification token", Type: destination.InputText, Secret: true, Fixed: true,
				Hint: "Sent with every request for the receiver to compare. 16 to 24 characters; generated when it is left out."},
			{Name: "secrets." + SigningSecret, Label: "Signing secret", Type: destination.InputText, Secret: true, Button: "Add a new signing secret",
				Hint: "Signs every request as in Standard Webhooks: whsec_ and the Base64 of 24 to 64 bytes. A replaced one goes on signing for 24 hours."},
		},
	}
}
