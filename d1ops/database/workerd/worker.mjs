// Runs inside workerd: the storage engine of D1, answering as D1 does.
//
//   POST /batch   {"statements": [{"sql", "params"?}]} -> {"results": [{"columns", "rows", "meta"}]}
//   POST /trial   the same, and rolled back
//   POST /ingest  the text of a script                 -> {"result": {"columns", "rows", "meta"}}
//
// Each is one transaction. What the engine refuses comes back as {"error": text, "index": statement or null} and has
// changed nothing; {"lost": text} says that the object broke and does not say whether the transaction is in.
// A parameter is null, a string, a number (which binds as REAL, as in D1) or an array of bytes. A BLOB comes back as
// an array of bytes. The figures in `meta` are counted as miniflare's D1 counts them (database.worker.ts there).

export default {
  async fetch(request, env) {
    // Web pages and other programs of the machine reach a loopback port too.
    if (request.headers.get("x-d1ops-secret") !== env.SECRET) {
      return new Response("the secret is missing or wrong\n", { status: 403 });
    }
    const stub = env.DATABASES.get(env.DATABASES.idFromName(env.DATABASE_ID));
    try {
      return await stub.fetch(request);
    } catch (error) {
      return Response.json({ lost: textOf(error) });
    }
  },
};

export class Database {
  #storage;
  #sql;

  constructor(state) {
    this.#storage = state.storage;
    this.#sql = state.storage.sql;
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (request.method === "POST" && (pathname === "/batch" || pathname === "/trial")) {
      return Response.json(await this.#batch((await request.json()).statements, pathname === "/trial"));
    }
    if (request.method === "POST" && pathname === "/ingest") {
      return Response.json(await this.#ingest(await request.text()));
    }
    return new Response("no such path\n", { status: 404 });
  }

  async #batch(statements, isTrial) {
    let index = null;
    try {
      const results = await this.#storage.transaction(async (transaction) => {
        const done = statements.map((statement, position) => {
          index = position;
          return this.#measured(() => this.#run(statement));
        });
        index = null; // What fails from here on is the commit.
        if (isTrial) transaction.rollback();
        return done;
      });
      return { results };
    } catch (error) {
      return { error: textOf(error), index };
    }
  }

  // D1's import splits a script with this function of the engine (workerd's sql.c++), so trigger bodies stay whole.
  async #ingest(script) {
    try {
      const result = await this.#storage.transaction(async () =>
        this.#measured(() => {
          const { remainder, rowsRead, rowsWritten, statementCount } = this.#sql.ingest(script);
          const counted = { columns: [], rows: [], meta: { rows_read: rowsRead, rows_written: rowsWritten } };
          // The remainder is the last statement when it has no semicolon, or comments.
          if (statementCount === 0 || remainder.replace(COMMENTS, "").trim() !== "") {
            const { meta } = this.#run({ sql: remainder });
            counted.meta.rows_read += meta.rows_read;
            counted.meta.rows_written += meta.rows_written;
          }
          return counted;
        }),
      );
      return { result };
    } catch (error) {
      return { error: textOf(error), index: null };
    }
  }

  #run({ sql, params = [] }) {
    if (sql.replace(LINE_COMMENTS, "").trim() === "") throw new Error("No SQL statements detected.");
    const bound = params.map((param) => (Array.isArray(param) ? new Uint8Array(param).buffer : param));
    const cursor = this.#sql.exec(sql, ...bound);
    const columns = cursor.columnNames;
    const rows = Array.from(cursor.raw(), (row) =>
      row.map((cell) => (cell instanceof ArrayBuffer ? Array.from(new Uint8Array(cell)) : cell)),
    );
    return { columns, rows, meta: { rows_read: cursor.rowsRead, rows_written: cursor.rowsWritten } };
  }

  #measured(action) {
    const before = this.#counters();
    const started = performance.now();
    const result = action();
    const duration = performance.now() - started;
    const after = this.#counters();
    const changes = after.changes - before.changes;
    Object.assign(result.meta, {
      duration,
      changes,
      last_row_id: after.lastRowId,
      changed_db: changes !== 0 || after.lastRowId !== before.lastRowId || after.size !== before.size,
      size_after: after.size,
    });
    return result;
  }

  #counters() {
    const [[changes, lastRowId]] = this.#sql.exec("SELECT total_changes(), last_insert_rowid()").raw();
    return { changes, lastRowId, size: this.#sql.databaseSize };
  }
}

const LINE_COMMENTS = /^\s*--.*/gm;
const COMMENTS = /--.*$|\/\*[\s\S]*?\*\//gm;

function textOf(error) {
  return error instanceof Error ? error.message : String(error);
}
