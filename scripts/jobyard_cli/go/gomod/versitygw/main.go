// Versitygw serves folders as S3 buckets: the gateway's own engine, with its POSIX backend alone.
//
// The gateway's main package has its other backends, its command line and its tests in it besides.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	address := flag.String("port", "", "address to listen on, as `host:port`")
	region := flag.String("region", "us-east-1", "region of the buckets")
	users := flag.String("iam-dir", "", "folder of the users' file")
	versions := flag.String("versioning-dir", "", "folder of earlier versions of objects")
	requests := flag.String("access-log", "", "file for a line about each request")
	flag.Parse()
	config := embedgw.Config{
		RootUserAccess: os.Getenv("ROOT_ACCESS_KEY"),
		RootUserSecret: os.Getenv("ROOT_SECRET_KEY"),
		Region:         *region,
		Ports:          []string{*address},
		Quiet:          true,
		IAMDir:         *users,
		AccessLog:      *requests,
		// These are the defaults of the gateway's command line.
		MaxConnections:    250000,
		MaxRequests:       100000,
		MultipartMaxParts: 10000,
		IAMCacheTTL:       120,
		IAMCachePrune:     3600,
	}
	if err := serve(&config, *versions, flag.Arg(0)); err != nil {
		log.Fatal(err)
	}
}

// The options are the defaults of the gateway's command line.
func serve(config *embedgw.Config, versions, objects string) error {
	options := posix.PosixOpts{
		VersioningDir:       versions,
		Concurrency:         5000,
		IOBufferSize:        1 << 20,
		CopyObjectThreshold: 5 << 30,
	}
	options.SetNewDirPerm(0o755)
	options.SetNewFilePerm(0o644)
	attributes := meta.XattrMeta{}
	if err := attributes.Test(objects); err != nil {
		return err
	}
	backend, err := posix.New(objects, attributes, options)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return embedgw.RunVersityGW(ctx, backend, config)
}
