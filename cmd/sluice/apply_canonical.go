package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/cloudlogging"
)

// canonical asks the kinds of this program. What only the operator may allow is
// for the server to judge.
func canonical(name string, config json.RawMessage, secrets map[string]string, missing []string) (json.RawMessage, bool, error) {
	for _, k := range kinds() {
		if k.Name() != name {
			continue
		}
		all, err := standIns(k, config, secrets, missing)
		if err != nil {
			return nil, true, err
		}
		out, err := k.Check(config, all, destination.Rules{AllowInsecure: true, Administrator: true})
		return out, true, err
	}
	return nil, false, nil
}

// standIns returns the secrets with something that a kind accepts in the place of
// those that are missing and required.
func standIns(k destination.Kind, config json.RawMessage, secrets destination.Secrets, missing []string) (destination.Secrets, error) {
	described, ok := k.(destination.Described)
	if !ok || len(missing) == 0 {
		return secrets, nil
	}
	all := destination.Secrets{}
	for name, value := range secrets {
		all[name] = value
	}
	inputs := map[string]destination.Input{}
	for _, in := range described.Form().Inputs {
		inputs[in.Name] = in
	}
	for _, name := range missing {
		switch in := inputs["secrets."+name]; {
		case in.Example != "":
			all[name] = in.Example
		case k.Name() == "cloudlogging" && name == cloudlogging.PrivateKey:
			key, err := standInKey(config)
			if err != nil {
				return nil, err
			}
			all[name] = key
		}
	}
	return all, nil
}

// standInKey returns a key of nobody: a whole key file when the configuration
// leaves the service account to it.
func standInKey(config json.RawMessage) (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	var members struct {
		ClientEmail string `json:"client_email"`
	}
	if json.Unmarshal(config, &members) == nil && members.ClientEmail != "" {
		return text, nil
	}
	file, err := json.Marshal(map[string]string{"type": "service_account", "client_email": "unknown@unknown.example", "private_key": text})
	return string(file), err
}
