package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"

	"github.com/muennet/muennet/api"
	"github.com/muennet/muennet/client"
)

// A program asks a running muennet for an interface.
func ExampleClient_Load() {
	ctx := context.Background()
	c := client.New(api.DefaultControl)
	names, err := c.Load(ctx, api.LoadRequest{Parameters: []string{
		"name=net%d", "in=a", "out=b", "flags=net_hdr", "reader_protocol=12", "writer_protocol=12",
	}})
	var refused *client.Error
	switch {
	case errors.Is(err, client.ErrNotRunning):
		log.Fatal("start it first: muennet run")
	case errors.As(err, &refused) && refused.Status == http.StatusBadRequest:
		log.Fatal("wrong parameters: ", err)
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println("loaded", names[0])

	if err := c.Unload(ctx, names...); err != nil && !errors.Is(err, api.ErrUnknown) {
		log.Fatal(err)
	}
}
