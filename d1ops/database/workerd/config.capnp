# What workerd runs for d1ops: one HTTP socket on a free loopback port, one worker, one folder of databases.
# The folder comes from the command line (--directory-path), the rest from the environment, so that no secret and
# no path of a machine stands in a file or an argument.

using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "databases", disk = (writable = true)),
    # The worker fetches nothing; without this it could reach the Internet.
    (name = "internet", network = (allow = [])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [(name = "worker.mjs", esModule = embed "worker.mjs")],
  # As miniflare's D1 object has them (seen in miniflare 5.20261117.0-beta); `experimental` allows sql.ingest.
  compatibilityDate = "2023-07-24",
  compatibilityFlags = ["experimental"],
  # Namespace key and id make the file's name, so this opens the file that `wrangler dev` has for the database.
  durableObjectNamespaces = [
    (className = "Database", uniqueKey = "miniflare-D1DatabaseObject", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "databases"),
  bindings = [
    (name = "DATABASES", durableObjectNamespace = "Database"),
    (name = "DATABASE_ID", fromEnvironment = "D1OPS_DATABASE_ID"),
    (name = "SECRET", fromEnvironment = "D1OPS_SECRET"),
  ],
);
