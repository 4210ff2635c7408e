package splunk

import "github.com/sluicelog/sluice/destination"

var _ destination.Described = Kind{}

// Form implements [destination.Described].
func (Kind) Form() destination.Form {
	return destination.Form{
		Title: "Splunk",
		About: "The HTTP Event Collector of Splunk Cloud or Splunk Enterprise, or another server that speaks its protocol.",
		Notes: []string{
			"The HTTP Event Collector (HEC) has to accept HTTPS connections: leave Enable SSL on in its global settings.",
			"Splunk Cloud: the domain is http-inputs- and your host, for example http-inputs-mycompany.splunkcloud.com, and the port 443. The free trial uses port 8088.",
			"Events always travel encrypted.",
		},
		Inputs: []destination.Input{
			{Name: "config.domain", Label: "Domain", Type: destination.InputText, Required: true, Example: "http-inputs-mycompany.splunkcloud.com",
				Hint: "The host that takes the events, without https:// and without a path."},
			{Name: "config.port", Label: "Port", Type: destination.InputNumber, Default: defaultPort, Min: 1, Max: 65535,
				Hint: "443 for Splunk Cloud if you have not changed it, 8088 for its free trial and for Splunk Enterprise."},
			{Name: "secrets." + Token, Label: "Token", Type: destination.InputText, Required: true, Secret: true, Button: "Add a new token",
				Example: "5a1c7f52-0b7a-4f38-9d7e-2c41d9f6a0b3", Hint: "The value that Splunk shows under Settings, Data inputs, HTTP Event Collector."},
			{Name: "config.ssl_verify", Label: "Enable SSL verification", Type: destination.InputCheckbox, Default: true,
				Hint: "Leave it selected. Without it events are still encrypted, but nobody knows who receives them."},
			{Name: "config.path", Label: "Path", Type: destination.InputText, Default: defaultPath, Example: "/hec/services/collector/event",
				Hint: "Another one only behind a proxy that puts something in front of it."},
			{Name: "config.index", Label: "Index", Type: destination.InputText, Example: "audit", Hint: "The token's default index when it is empty."},
			{Name: "config.source", Label: "Source", Type: destination.InputText, Example: "sluice", Hint: "The token's when it is empty."},
			{Name: "config.sourcetype", Label: "Source type", Type: destination.InputText, Example: "_json", Hint: "The token's when it is empty."},
			{Name: "config.indexer_ack", Label: "Indexer acknowledgement", Type: destination.InputChoice, Default: string(AckAuto),
				Hint: "Wait until the indexers have written an event, not only queued it.",
				Options: []destination.Option{{Value: string(AckAuto), Label: "When the token has it"},
					{Value: string(AckRequire), Label: "Required: hold the stream without it"}, {Value: string(AckOff), Label: "Off"}}},
		},
	}
}
