// Renders /openapi.json of this server. No library, nothing from elsewhere.
"use strict";

const TEXT = {
  en: { search: "Search", loading: "Loading …", failed: "The document could not be loaded", params: "Parameters", body: "Request body", responses: "Responses", name: "Name", type: "Type", about: "What it is", required: "required", open: "no key needed", example: "Example", schemas: "Types", other: "中文", none: "Nothing matches", title: "Rixin API" },
  zh: { search: "搜索", loading: "正在加载…", failed: "无法加载接口文档", params: "参数", body: "请求体", responses: "响应", name: "名称", type: "类型", about: "说明", required: "必填", open: "无需密钥", example: "示例", schemas: "数据类型", other: "English", none: "没有匹配项", title: "日新 API" },
};
let lang = (localStorage.getItem("rixin.docs.lang") || navigator.language || "en").startsWith("zh") ? "zh" : "en";
let doc = null;

const t = (key) => TEXT[lang][key];
const $ = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Plain paragraphs with `code`. */
function prose(text) {
  const box = el("div");
  for (const paragraph of (text || "").split(/\n\s*\n/)) {
    const p = el("p");
    paragraph.split(/(`[^`]+`)/).forEach((piece) => p.append(piece.startsWith("`") && piece.length > 1 ? el("code", {}, piece.slice(1, -1)) : piece));
    if (paragraph.trim()) box.append(p);
  }
  return box;
}

const refName = (schema) => (schema.$ref ? schema.$ref.split("/").pop() : null);

/** A schema in a few words, with links to the types that it names. */
function typeOf(schema) {
  if (!schema) return el("span", {}, "–");
  const name = refName(schema);
  if (name) return el("a", { href: `#type-${name}` }, name);
  const many = schema.oneOf || schema.anyOf || schema.allOf;
  if (many) {
    const box = el("span");
    many.forEach((one, i) => box.append(i ? " | " : "", typeOf(one)));
    return box;
  }
  if (schema.enum) return el("span", {}, schema.enum.map((value) => JSON.stringify(value)).join(" | "));
  if (schema.type === "array") return el("span", {}, "[", typeOf(schema.items), "]");
  if (Array.isArray(schema.type)) {
    if (schema.type.includes("array")) return el("span", {}, "[", typeOf(schema.items), "] | null");
    return el("span", {}, schema.type.join(" | "));
  }
  return el("span", {}, schema.type || (schema.properties ? "object" : "any"));
}

function properties(schema) {
  const parts = schema.allOf ? schema.allOf : [schema];
  const rows = [];
  for (const part of parts) {
    const name = refName(part);
    if (name) rows.push(...properties(doc.components.schemas[name] || {}));
    for (const [key, value] of Object.entries(part.properties || {})) rows.push({ key, value, required: (part.required || []).includes(key) });
  }
  return rows;
}

function table(rows) {
  const head = el("tr", {}, ...["name", "type", "about"].map((key) => el("th", { scope: "col" }, t(key))));
  const body = rows.map(({ key, value, required, about }) =>
    el("tr", {}, el("td", {}, el("code", {}, key), required ? el("span", { class: "tag" }, t("required")) : ""), el("td", {}, typeOf(value)), el("td", {}, prose(about ?? value?.description))),
  );
  return el("table", {}, el("thead", {}, head), el("tbody", {}, ...body));
}

function curl(method, path, operation, secured) {
  const lines = [`curl ${location.origin}${path.replace(/\{(\w+)\}/g, (_, name) => name.toUpperCase())}`];
  if (method !== "GET") lines.push(`  -X ${method}`);
  if (secured) lines.push('  -H "Authorization: Bearer $RIXIN_KEY"');
  const schema = operation.requestBody?.content?.["application/json"]?.schema;
  if (schema) lines.push(`  -H "Content-Type: application/json"`, `  -d '${JSON.stringify(sample(schema, 0))}'`);
  return lines.join(" \\\n");
}

/** The smallest value of a schema: required fields only. */
function sample(schema, depth) {
  const name = refName(schema);
  if (name) return sample(doc.components.schemas[name] || {}, depth + 1);
  if (schema.enum) return schema.enum.includes("user") ? "user" : schema.enum[0];
  const many = schema.oneOf || schema.anyOf;
  if (many) return sample(many.find((one) => one.type !== "null") || {}, depth + 1);
  const rows = properties(schema);
  if (rows.length && depth < 8) return Object.fromEntries(rows.filter((row) => row.required || row.key === "content").map((row) => [row.key, row.key === "model" ? "default" : row.key === "content" ? "你好" : sample(row.value, depth + 1)]));
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === "array") return depth < 8 ? [sample(schema.items || {}, depth + 1)] : [];
  return { string: "…", integer: 64, number: 1, boolean: true, object: {} }[type] ?? null;
}

function operations() {
  const list = [];
  for (const [path, item] of Object.entries(doc.paths))
    for (const method of ["get", "post", "put", "patch", "delete"]) if (item[method]) list.push({ path, method: method.toUpperCase(), operation: item[method] });
  return list;
}

function section({ path, method, operation }) {
  const secured = Boolean(operation.security?.length);
  const box = el("section", { id: `${method}-${path}` });
  box.append(el("h3", {}, el("span", { class: "method" }, method), el("code", {}, path), " ", secured ? "" : el("span", { class: "tag" }, t("open"))));
  box.append(prose([operation.summary, operation.description].filter(Boolean).join("\n\n")));
  const params = operation.parameters || [];
  if (params.length) box.append(el("h4", {}, t("params")), table(params.map((p) => ({ key: p.name, value: p.schema, required: p.required, about: p.description }))));
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  if (body) box.append(el("h4", {}, t("body")), el("p", {}, typeOf(body)));
  box.append(el("h4", {}, t("responses")));
  box.append(
    table(
      Object.entries(operation.responses || {}).map(([status, response]) => {
        const [kind, content] = Object.entries(response.content || {})[0] || [];
        return { key: status, value: content?.schema, about: response.description + (kind && kind !== "application/json" ? ` (${kind})` : "") };
      }),
    ),
  );
  box.append(el("details", {}, el("summary", {}, t("example")), el("pre", { tabindex: "0" }, el("code", {}, curl(method, path, operation, secured)))));
  return box;
}

function typeSection([name, schema]) {
  const box = el("section", { id: `type-${name}` }, el("h3", {}, el("code", {}, name)), prose(schema.description));
  const rows = properties(schema);
  box.append(rows.length ? table(rows) : el("p", {}, typeOf(schema)));
  return box;
}

function render() {
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
  document.title = t("title");
  $("lang").textContent = t("other");
  $("search").placeholder = t("search");
  document.querySelectorAll("[data-t]").forEach((node) => (node.textContent = t(node.dataset.t)));
  if (!doc) return;
  $("version").textContent = doc.info.version;
  const wanted = $("search").value.trim().toLowerCase();
  const fits = (text) => wanted.split(/\s+/).every((word) => text.toLowerCase().includes(word));
  const shown = operations().filter(({ path, method, operation }) => fits(`${method} ${path} ${operation.summary || ""} ${operation.description || ""}`));
  const nav = [];
  const main = [prose(doc.info.description)];
  for (const tag of doc.tags || []) {
    const mine = shown.filter(({ operation }) => (operation.tags || []).includes(tag.name));
    if (!mine.length) continue;
    nav.push(el("h2", {}, tag.description || tag.name));
    nav.push(el("ul", {}, ...mine.map(({ path, method }) => el("li", {}, el("a", { href: `#${method}-${path}` }, el("span", { class: "method" }, method), path)))));
    main.push(el("h2", {}, tag.description || tag.name), ...mine.map(section));
  }
  if (!shown.length) main.push(el("p", {}, t("none")));
  const types = Object.entries(doc.components?.schemas || {}).filter(([name]) => !wanted || shown.length === 0 ? fits(name) : true);
  main.push(el("h2", {}, t("schemas")), ...types.map(typeSection));
  $("nav").replaceChildren(...nav);
  $("main").replaceChildren(...main);
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

$("lang").addEventListener("click", () => {
  lang = lang === "zh" ? "en" : "zh";
  localStorage.setItem("rixin.docs.lang", lang);
  render();
});
$("search").addEventListener("input", render);
render();
fetch("/openapi.json")
  .then((response) => (response.ok ? response.json() : Promise.reject(new Error(response.status))))
  .then((json) => {
    doc = json;
    render();
  })
  .catch((error) => $("main").replaceChildren(el("p", { role: "alert" }, `${t("failed")}: ${error.message}`)));
