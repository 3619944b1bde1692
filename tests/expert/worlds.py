"""Databases with rows, and the queries that an application would run on them.

Each is filled by SQL alone, so that skew, fan-out and NULLs are what the text says: a few customers with many orders, a
status that is almost always the same, tenants of very different size.
"""

from __future__ import annotations

from dataclasses import dataclass

N = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "


@dataclass(frozen=True)
class World:
    name: str
    schema: str
    fill: tuple[str, ...]
    queries: str


def _rows(count: int, insert: str) -> str:
    head, values = insert.split(" SELECT ", 1)
    return f"{head} {N.format(rows=count)}SELECT {values} FROM n"


SHOP = World(
    "shop",
    """
CREATE TABLE customers(id INTEGER PRIMARY KEY, email TEXT NOT NULL, name TEXT, country TEXT, created_at TEXT,
  vip INT);
CREATE TABLE products(id INTEGER PRIMARY KEY, sku TEXT NOT NULL UNIQUE, name TEXT, category TEXT, price INT,
  active INT);
CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INT NOT NULL, status TEXT, placed_at TEXT, total INT,
  coupon TEXT);
CREATE TABLE items(id INTEGER PRIMARY KEY, order_id INT NOT NULL, product_id INT NOT NULL, quantity INT, price INT);
CREATE TABLE stock(product_id INT, warehouse TEXT, quantity INT, PRIMARY KEY(product_id, warehouse)) WITHOUT ROWID;
CREATE TABLE reviews(id INTEGER PRIMARY KEY, product_id INT, customer_id INT, stars INT, body TEXT, written_at TEXT);
""",
    (
        _rows(
            2000,
            "INSERT INTO customers SELECT i, 'C' || i || '@example.org', 'name ' || (i % 700),"
            " substr('DEFRATUSGBPL', 1 + 2 * (i * i % 6), 2), date('2020-01-01', i || ' days'), i % 50 = 0",
        ),
        _rows(
            400,
            "INSERT INTO products SELECT i, 'sku' || i, 'product ' || i, 'cat' || (i % 20),"
            " 100 + i * 37 % 9000, i % 9 > 0",
        ),
        _rows(
            6000,
            "INSERT INTO orders SELECT i, 1 + i * i % 1999,"
            " CASE WHEN i % 100 = 0 THEN 'open' WHEN i % 37 = 0 THEN 'cancelled' ELSE 'done' END,"
            " datetime('2023-01-01', (i * 3) || ' hours'), i * 7919 % 50000,"
            " CASE WHEN i % 40 = 0 THEN 'SAVE' || (i % 5) END",
        ),
        _rows(15000, "INSERT INTO items SELECT i, 1 + i * 2 % 6000, 1 + i * i % 397, 1 + i % 4, i % 9000"),
        _rows(800, "INSERT OR IGNORE INTO stock SELECT 1 + i % 400, 'w' || (i % 3), i % 50"),
        _rows(
            3000,
            "INSERT INTO reviews SELECT i, 1 + i * i % 397, 1 + i * 3 % 2000, 1 + i % 5, 'text ' || i,"
            " datetime('2023-06-01', i || ' hours')",
        ),
    ),
    """
SELECT * FROM customers WHERE email = ?1;
SELECT id, name FROM customers WHERE country = ?1 AND vip = 1 ORDER BY name;
SELECT * FROM orders WHERE customer_id = ?1 ORDER BY placed_at DESC LIMIT 20;
SELECT * FROM orders WHERE status = 'open' ORDER BY placed_at LIMIT 50;
SELECT count(*) FROM orders WHERE status = 'open' AND placed_at < ?1;
SELECT o.id, i.product_id, i.quantity FROM orders o JOIN items i ON i.order_id = o.id WHERE o.id = ?1;
SELECT p.name, sum(i.quantity) FROM items i JOIN products p ON p.id = i.product_id WHERE p.category = ?1 GROUP BY p.id;
SELECT c.email, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.country = ?1 GROUP BY c.id;
SELECT * FROM products WHERE category = ?1 AND active = 1 ORDER BY price LIMIT 30;
SELECT * FROM products WHERE price BETWEEN ?1 AND ?2 AND category = ?3;
SELECT * FROM reviews WHERE product_id = ?1 ORDER BY written_at DESC LIMIT 10;
SELECT avg(stars) FROM reviews WHERE product_id = ?1;
SELECT r.body, c.name FROM reviews r JOIN customers c ON c.id = r.customer_id WHERE r.stars = 1 AND r.product_id = ?1;
SELECT * FROM orders WHERE coupon = ?1 AND placed_at >= ?2;
SELECT * FROM orders WHERE placed_at >= ?1 AND placed_at < ?2 ORDER BY total DESC LIMIT 10;
SELECT id FROM orders o WHERE customer_id = ?1 AND NOT EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id);
SELECT * FROM customers WHERE created_at > ?1 ORDER BY created_at LIMIT 100;
UPDATE orders SET status = 'cancelled' WHERE status = 'open' AND placed_at < ?1;
DELETE FROM reviews WHERE customer_id = ?1;
SELECT max(placed_at) FROM orders WHERE customer_id = ?1;
SELECT country, count(*) FROM customers GROUP BY country;
SELECT * FROM orders WHERE customer_id = ?1 AND status = ?2;
SELECT * FROM orders WHERE total > 49900;
SELECT s.warehouse, s.quantity FROM stock s WHERE s.quantity < 3;
""",
)

FORUM = World(
    "forum",
    """
CREATE TABLE users(id TEXT PRIMARY KEY, handle TEXT COLLATE NOCASE, joined INT, banned INT DEFAULT 0);
CREATE TABLE boards(id INTEGER PRIMARY KEY, slug TEXT UNIQUE, parent INT);
CREATE TABLE threads(id INTEGER PRIMARY KEY, board_id INT, author TEXT, title TEXT, pinned INT, bumped INT,
  deleted_at INT);
CREATE TABLE posts(id INTEGER PRIMARY KEY, thread_id INT, author TEXT, reply_to INT, body TEXT, at INT, score INT);
CREATE TABLE votes(user_id TEXT, post_id INT, value INT, at INT, UNIQUE(user_id, post_id));
CREATE TABLE follows(follower TEXT, followed TEXT, at INT, PRIMARY KEY(follower, followed));
CREATE TABLE reports(id INTEGER PRIMARY KEY, post_id INT, reason TEXT, resolved_at INT, at INT);
""",
    (
        _rows(1500, "INSERT INTO users SELECT 'u' || i, 'User' || i, i * 60, i % 97 = 0"),
        _rows(30, "INSERT INTO boards SELECT i, 'board' || i, CASE WHEN i > 6 THEN 1 + i % 6 END"),
        _rows(
            3000,
            "INSERT INTO threads SELECT i, 1 + i * i % 29, 'u' || (1 + i * 7 % 1500), 'title ' || i, i % 500 = 0,"
            " i * 61 % 100000, CASE WHEN i % 25 = 0 THEN i END",
        ),
        _rows(
            15000,
            "INSERT INTO posts SELECT i, 1 + i * i % 2999, 'u' || (1 + i * 13 % 1500),"
            " CASE WHEN i % 3 = 0 AND i > 3 THEN i - 3 END, 'body ' || i, i * 17 % 200000, i % 60 - 10",
        ),
        _rows(12000, "INSERT OR IGNORE INTO votes SELECT 'u' || (1 + i * 31 % 1500), 1 + i * i % 14999, 1, i"),
        _rows(5000, "INSERT OR IGNORE INTO follows SELECT 'u' || (1 + i * 17 % 1500), 'u' || (1 + i * i % 1499), i"),
        _rows(900, "INSERT INTO reports SELECT i, 1 + i * 16, 'reason ' || (i % 7), CASE WHEN i % 12 THEN i END, i"),
    ),
    """
SELECT * FROM users WHERE handle = ?1;
SELECT * FROM threads WHERE board_id = ?1 AND deleted_at IS NULL ORDER BY bumped DESC LIMIT 30;
SELECT * FROM threads WHERE board_id = ?1 AND pinned = 1;
SELECT * FROM threads WHERE author = ?1 ORDER BY id DESC LIMIT 20;
SELECT p.*, u.handle FROM posts p JOIN users u ON u.id = p.author WHERE p.thread_id = ?1 ORDER BY p.at LIMIT 50;
SELECT * FROM posts WHERE author = ?1 ORDER BY at DESC LIMIT 20;
SELECT * FROM posts WHERE reply_to = ?1;
SELECT sum(value) FROM votes WHERE post_id = ?1;
SELECT followed FROM follows WHERE follower = ?1;
SELECT follower FROM follows WHERE followed = ?1 ORDER BY at DESC;
SELECT p.id FROM posts p JOIN follows f ON f.followed = p.author WHERE f.follower = ?1 ORDER BY p.at DESC LIMIT 25;
SELECT * FROM reports WHERE resolved_at IS NULL ORDER BY at;
SELECT r.id, p.body FROM reports r JOIN posts p ON p.id = r.post_id WHERE r.reason = ?1 AND r.resolved_at IS NULL;
SELECT count(*) FROM posts WHERE thread_id = ?1 AND at > ?2;
SELECT thread_id, max(at) FROM posts WHERE author = ?1 GROUP BY thread_id;
SELECT * FROM posts WHERE thread_id = ?1 AND score > 40;
SELECT * FROM posts WHERE author = ?1 OR reply_to = ?2;
SELECT t.title FROM threads t WHERE t.id IN (SELECT thread_id FROM posts WHERE author = ?1);
SELECT b.slug, count(*) FROM boards b LEFT JOIN threads t ON t.board_id = b.id GROUP BY b.id;
SELECT * FROM boards WHERE parent = ?1;
UPDATE threads SET deleted_at = 1 WHERE author = ?1 AND deleted_at IS NULL;
DELETE FROM votes WHERE user_id = ?1;
SELECT DISTINCT author FROM posts WHERE thread_id = ?1;
SELECT * FROM users WHERE banned = 1;
SELECT * FROM threads WHERE (bumped, id) < (?1, ?2) ORDER BY bumped DESC, id DESC LIMIT 20;
""",
)

SAAS = World(
    "saas",
    """
CREATE TABLE tenants(id INTEGER PRIMARY KEY, name TEXT, plan TEXT, created INT);
CREATE TABLE members(tenant_id INT, user_id INT, role TEXT, PRIMARY KEY(tenant_id, user_id)) WITHOUT ROWID;
CREATE TABLE projects(id INTEGER PRIMARY KEY, tenant_id INT, name TEXT, archived INT, updated INT);
CREATE TABLE tasks(id INTEGER PRIMARY KEY, project_id INT, tenant_id INT, assignee INT, state TEXT, due INT, prio INT,
  body TEXT);
CREATE TABLE comments(id INTEGER PRIMARY KEY, task_id INT, user_id INT, at INT, body TEXT);
CREATE TABLE events(id INTEGER PRIMARY KEY, tenant_id INT, kind TEXT, subject_id INT, at INT, payload TEXT);
CREATE TABLE jobs(id INTEGER PRIMARY KEY, queue TEXT, state TEXT, run_at INT, locked_by TEXT, attempts INT);
""",
    (
        _rows(60, "INSERT INTO tenants SELECT i, 'tenant ' || i, CASE WHEN i % 8 THEN 'free' ELSE 'paid' END, i"),
        _rows(
            900,
            "INSERT OR IGNORE INTO members SELECT 1 + i * i % 59, i, CASE WHEN i % 11 THEN 'member' ELSE 'owner' END",
        ),
        _rows(600, "INSERT INTO projects SELECT i, 1 + i * i % 59, 'project ' || i, i % 5 = 0, i * 97 % 10000"),
        _rows(
            9000,
            "INSERT INTO tasks SELECT i, 1 + i * i % 599, 1 + i * i % 59, CASE WHEN i % 4 THEN 1 + i * 7 % 900 END,"
            " CASE i % 10 WHEN 0 THEN 'open' WHEN 1 THEN 'doing' ELSE 'done' END, i * 31 % 40000, i % 4, 'task ' || i",
        ),
        _rows(8000, "INSERT INTO comments SELECT i, 1 + i * i % 8999, 1 + i % 900, i * 3, 'comment ' || i"),
        _rows(
            15000,
            "INSERT INTO events SELECT i, 1 + i * i % 59, 'kind' || (i % 14), i * 7 % 9000, i * 11,"
            " '{\"n\":' || (i % 500) || '}'",
        ),
        _rows(
            4000,
            "INSERT INTO jobs SELECT i, 'q' || (i % 4), CASE WHEN i % 80 = 0 THEN 'ready' WHEN i % 400 = 1"
            " THEN 'failed' ELSE 'done' END, i * 5, NULL, i % 3",
        ),
    ),
    """
SELECT * FROM projects WHERE tenant_id = ?1 AND archived = 0 ORDER BY updated DESC;
SELECT * FROM tasks WHERE project_id = ?1 AND state = 'open' ORDER BY prio DESC, due LIMIT 40;
SELECT * FROM tasks WHERE tenant_id = ?1 AND assignee = ?2 AND state <> 'done';
SELECT * FROM tasks WHERE assignee = ?1 AND due < ?2 ORDER BY due LIMIT 20;
SELECT count(*) FROM tasks WHERE project_id = ?1 AND state = ?2;
SELECT state, count(*) FROM tasks WHERE tenant_id = ?1 GROUP BY state;
SELECT c.* FROM comments c WHERE c.task_id = ?1 ORDER BY c.at;
SELECT c.body, t.body FROM comments c JOIN tasks t ON t.id = c.task_id WHERE c.user_id = ?1 ORDER BY c.at DESC LIMIT 10;
SELECT * FROM events WHERE tenant_id = ?1 ORDER BY at DESC LIMIT 50;
SELECT * FROM events WHERE tenant_id = ?1 AND kind = ?2 AND at >= ?3;
SELECT kind, count(*) FROM events WHERE tenant_id = ?1 AND at >= ?2 GROUP BY kind;
SELECT * FROM events WHERE kind = ?1 AND subject_id = ?2;
SELECT * FROM jobs WHERE state = 'ready' AND run_at <= ?1 ORDER BY run_at LIMIT 10;
SELECT * FROM jobs WHERE queue = ?1 AND state = 'ready' ORDER BY run_at LIMIT 1;
UPDATE jobs SET locked_by = 'w' WHERE state = 'ready' AND locked_by IS NULL AND run_at <= ?1;
DELETE FROM jobs WHERE state = 'failed';
SELECT tenant_id FROM members WHERE user_id = ?1;
SELECT t.name FROM tenants t JOIN members m ON m.tenant_id = t.id WHERE m.user_id = ?1 AND m.role = 'owner';
SELECT p.name, count(t.id) FROM projects p LEFT JOIN tasks t ON t.project_id = p.id WHERE p.tenant_id = ?1
  GROUP BY p.id;
SELECT * FROM tenants WHERE plan = 'paid';
SELECT * FROM events WHERE payload ->> '$.n' = ?1;
SELECT * FROM tasks WHERE due BETWEEN ?1 AND ?2 AND state = 'doing';
SELECT 1 FROM members WHERE tenant_id = ?1 AND user_id = ?2;
SELECT * FROM tasks WHERE tenant_id = ?1 AND state IN ('open', 'doing') ORDER BY due LIMIT 25;
SELECT * FROM projects WHERE lower(name) = ?1;
""",
)

WORLDS = (SHOP, FORUM, SAAS)
