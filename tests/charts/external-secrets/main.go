// The External Secrets operator: its own controllers, with the providers that the module registers.
package main

import "github.com/external-secrets/external-secrets/cmd/controller"

func main() {
	controller.Execute()
}
