// Runs beside the Worker in the local runtime and brings its database up to date. It knows neither the tables nor the way to it.

export default {
  /** Applies what is missing, in order, each migration in one transaction; the bookkeeping table is wrangler's own. */
  async fetch(_request, env) {
    const database = env[env.BINDING];
    await database.exec(
      "CREATE TABLE IF NOT EXISTS d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
    );
    const { results } = await database.prepare("SELECT name FROM d1_migrations").all();
    const applied = new Set(results.map(({ name }) => name));
    for (const { name, statements } of JSON.parse(env.MIGRATIONS)) {
      if (applied.has(name)) continue;
      const record = database.prepare("INSERT INTO d1_migrations (name) VALUES (?)").bind(name);
      await database.batch([...statements.map((statement) => database.prepare(statement)), record]);
    }
    return new Response();
  },
};
