package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/secret"
)

// The secrets of a stream are sealed one by one, each bound to the stream and to
// its field. The values of custom headers are secrets as well: they are taken
// out of the configuration and sealed together.
const fieldHeaders = "config.headers"

// sealContext names the place of a sealed value: the key of its record and the
// field in it.
func sealContext(id sluice.StreamID, field string) string {
	return sealedPlace(streamKey(id), field)
}

func sealedPlace(record, field string) string { return record + "/" + field }

// seal puts configuration and secrets into the record.
func (s *Service) seal(r *streamRecord, config json.RawMessage, secrets destination.Secrets) error {
	plain, headers, err := takeHeaderValues(config)
	if err != nil {
		return err
	}
	r.Config, r.Sealed = plain, nil
	for name, value := range secrets {
		r.Sealed.set("secrets."+name, s.cfg.Ring.Seal([]byte(value), sealContext(r.ID, "secrets."+name)))
	}
	if headers != nil {
		r.Sealed.set(fieldHeaders, s.cfg.Ring.Seal(headers, sealContext(r.ID, fieldHeaders)))
	}
	return nil
}

// unseal returns the record's configuration and secrets in plain.
func (s *Service) unseal(r *streamRecord) (json.RawMessage, destination.Secrets, error) {
	return s.openFields(r, false)
}

// salvage is unseal without what a key sealed that is not in the key file: such
// secrets are as if they had never been entered, and where it is the values of the
// headers there are no headers. So a stream whose key is lost is shown, and can be
// given its secrets anew.
func (s *Service) salvage(r *streamRecord) (json.RawMessage, destination.Secrets, error) {
	return s.openFields(r, true)
}

func (s *Service) openFields(r *streamRecord, lossy bool) (json.RawMessage, destination.Secrets, error) {
	secrets := destination.Secrets{}
	config := r.Config
	for _, sealed := range r.Sealed {
		field := sealed.name
		value, err := s.cfg.Ring.Open(sealed.value, sealContext(r.ID, field))
		if lossy && errors.Is(err, secret.ErrNoKey) {
			if field == fieldHeaders {
				if config, err = withoutHeaders(r.Config); err != nil {
					return nil, nil, fmt.Errorf("read %s of stream %d: %w", field, r.ID, err)
				}
			}
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("open %s of stream %d: %w", field, r.ID, err)
		}
		if field != fieldHeaders {
			secrets[field[len("secrets."):]] = string(value)
			continue
		}
		if config, err = putHeaderValues(r.Config, value); err != nil {
			return nil, nil, fmt.Errorf("open %s of stream %d: %w", field, r.ID, err)
		}
	}
	return config, secrets, nil
}

// takeHeaderValues replaces the values of the headers in a configuration by ""
// and returns them as a JSON list, nil when the configuration has none.
func takeHeaderValues(config json.RawMessage) (plain, values json.RawMessage, err error) {
	members, headers, err := readHeaders(config)
	if err != nil || headers == nil {
		return config, nil, err
	}
	list := make([]json.RawMessage, len(headers))
	for i, h := range headers {
		list[i] = h["value"]
		h["value"] = json.RawMessage(`""`)
	}
	if plain, err = writeHeaders(members, headers); err != nil {
		return nil, nil, err
	}
	values, err = json.Marshal(list)
	return plain, values, err
}

// putHeaderValues undoes takeHeaderValues.
func putHeaderValues(plain, values json.RawMessage) (json.RawMessage, error) {
	members, headers, err := readHeaders(plain)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := json.Unmarshal(values, &list); err != nil {
		return nil, err
	}
	if len(list) != len(headers) {
		return nil, fmt.Errorf("%d values for %d headers", len(list), len(headers))
	}
	for i, h := range headers {
		h["value"] = list[i]
	}
	return writeHeaders(members, headers)
}

// withoutHeaders returns a configuration with an empty list of headers.
func withoutHeaders(plain json.RawMessage) (json.RawMessage, error) {
	members, _, err := readHeaders(plain)
	if err != nil {
		return nil, err
	}
	return writeHeaders(members, []object{})
}

type object = map[string]json.RawMessage

func readHeaders(config json.RawMessage) (members object, headers []object, err error) {
	if err := json.Unmarshal(config, &members); err != nil {
		return nil, nil, fmt.Errorf("read configuration: %w", err)
	}
	if members == nil {
		return nil, nil, errors.New("read configuration: it is no object")
	}
	if list, ok := members["headers"]; ok {
		if err := json.Unmarshal(list, &headers); err != nil {
			return nil, nil, fmt.Errorf("read headers: %w", err)
		}
	}
	if slices.ContainsFunc(headers, func(h object) bool { return h == nil }) {
		return nil, nil, errors.New("read headers: one is no object")
	}
	return members, headers, nil
}

func writeHeaders(members object, headers []object) (json.RawMessage, error) {
	list, err := json.Marshal(headers)
	if err != nil {
		return nil, err
	}
	members["headers"] = list
	return json.Marshal(members)
}
