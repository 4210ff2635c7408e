// Command openapi judges an OpenAPI document: against the published schema of the
// version that it names, and whether its references lead somewhere. What is wrong
// goes to the standard output; the status is 1 then.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/schema_validation"
)

func main() {
	if err := judge(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func judge(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: openapi FILE")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		return err
	}
	if _, err := doc.BuildV3Model(); err != nil {
		return err
	}
	_, wrong := schema_validation.ValidateOpenAPIDocument(doc)
	errs := make([]error, len(wrong))
	for i, e := range wrong {
		errs[i] = e
	}
	return errors.Join(errs...)
}
