package eventhubs

import "github.com/sluicelog/sluice/destination"

var _ destination.Described = Kind{}

// Form implements [destination.Described].
func (Kind) Form() destination.Form {
	return destination.Form{
		Title: "Azure Event Hubs",
		About: "An event hub in Microsoft Azure, which services there and programs of your own read.",
		Notes: []string{
			"You need an Event Hubs namespace in Microsoft Azure and an event hub instance in it.",
			"In the portal: Entities, Event Hubs, the event hub, Shared access policies. The right Send is enough.",
			"Events travel over AMQP with TLS on port 5671.",
		},
		Inputs: []destination.Input{
			{Name: "config.name", Label: "Name of the Azure Event Hubs instance", Type: destination.InputText, Required: true, Example: "auditlog",
				Hint: "Of the event hub, not of its Event Hubs namespace."},
			{Name: "secrets." + ConnectionString, Label: "Connection string", Type: destination.InputText, Required: true, Secret: true,
				Button:  "Add a new connection string",
				Example: "Endpoint=sb://NAMESPACE.servicebus.windows.net/;SharedAccessKeyName=POLICY;SharedAccessKey=KEY",
				Hint:    "Click the button to the right of Connection string-primary key in a shared access policy to copy it."},
			{Name: "config.partition_by", Label: "Keep in order", Type: destination.InputChoice, Default: string(ByTopLevel),
				Hint: "Which events reach the same partition of the event hub.",
				Options: []destination.Option{{Value: string(ByTopLevel), Label: "Each enterprise or top-level group"},
					{Value: string(ByNamespace), Label: "Each group or project"}, {Value: string(ByNone), Label: "Nothing: spread at will"}}},
		},
	}
}
