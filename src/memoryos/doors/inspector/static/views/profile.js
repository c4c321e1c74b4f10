/** The profile: attributes, a radar chart of the categories of the 90 traits, and the evidence of each trait. */

import { html, useMemo, useState } from "../vendor/preact.js";
import { askScope } from "../api.js";
import { colour, Plot } from "../charts.js";
import { day } from "../format.js";
import { Loaded, Choice, Empty, StoredText, Sources } from "../parts.js";
import { useLoaded, useInspector, useLive } from "../state.js";
import { TEXTS } from "../texts.js";
import { named } from "./recalled.js";

const T = TEXTS.profile;
const LINE_LETTERS = 14;

/** The tier "profile". */
export function Profile() {
  const { scope } = useInspector();
  const [chosen, choose] = useState(null);
  const loaded = useLoaded((signal) => loadVersions(scope, signal), [scope]);
  useLive((name) => ["learned", "gone", "missed"].includes(name) && loaded.again());
  return html`
    <${Loaded} loaded=${loaded}>
      ${({ versions }) => {
        const profile = versions.find((each) => each.version === chosen) ?? versions.at(-1);
        if (!profile || !(profile.traits.length || profile.attributes.length)) return html`<${Empty} text=${T.none} />`;
        return html`
          <div class="between">
            <label class="beside">${T.version}
              <select value=${String(profile.version)} onChange=${(event) => choose(Number(event.target.value))}>
                ${[...versions].reverse().map((each) => html`<option key=${each.version} value=${String(each.version)}>${versionText(each)}</option>`)}
              </select>
            </label>
            ${profile.origin ? html`<span class="faint small">${T.by(profile.origin)}</span>` : null}
          </div>
          <${Portrait} profile=${profile} />
        `;
      }}
    <//>
  `;
}

/** Returns all versions. The newest one is the present profile, because stored versions have no attributes. */
async function loadVersions(scope, signal) {
  const [profile, { versions }] = await Promise.all([
    askScope(scope, "/profile", { signal }),
    askScope(scope, "/profile/history", { signal }),
  ]);
  return { versions: [...versions.filter((each) => each.version !== profile.version), profile] };
}

function versionText({ version, recorded_at: at }) {
  return T.versionOf(version, at ? day(at) : "");
}

function Portrait({ profile }) {
  const { setup } = useInspector();
  const [category, setCategory] = useState("");
  const categories = useMemo(() => categoriesOf(setup.dimensions, profile.traits), [setup, profile]);
  const shown = categories.filter(({ name, known }) => known && (!category || name === category));
  const choices = [["", T.all], ...categories.map(({ name }) => [name, name])];
  return html`
    <div class="portrait">
      <section class="card" aria-label=${T.attributes}>
        <h2>${T.attributes}</h2>
        <dl class="attributes">
          ${profile.attributes.map(
            (each) => html`
              <div key=${`${each.name} ${each.value}`}>
                <dt>${named(each.name)}</dt>
                <dd><${StoredText} text=${each.value} /> <${Sources} ids=${each.source_page_ids} /></dd>
              </div>
            `,
          )}
        </dl>
      </section>
      <section class="card" aria-label=${T.traits}>
        <${Radar} categories=${categories} known=${profile.traits.length} all=${setup.dimensions.length} />
      </section>
    </div>
    <${Choice} label=${T.choose} choices=${choices} chosen=${category} onChoose=${setCategory} />
    ${shown.length ? null : html`<p class="faint">${T.noTraits}</p>`}
    ${shown.map((each) => html`<${Category} key=${each.name} category=${each} traits=${profile.traits} />`)}
  `;
}

function categoriesOf(dimensions, traits) {
  const names = [...new Set(dimensions.map((each) => each.category))];
  return names.map((name) => {
    const own = traits.filter((each) => each.category === name);
    return {
      name,
      all: dimensions.filter((each) => each.category === name).length,
      known: own.length,
      high: own.filter((each) => each.level === "high").length,
    };
  });
}

function Radar({ categories, known, all }) {
  const share = (part) => categories.map((each) => Math.round((each[part] / each.all) * 100));
  const table = {
    head: [T.category, T.known, T.high],
    rows: categories.map((each) => [each.name, T.share(each.known, each.all), T.share(each.high, each.all)]),
  };
  const make = () => ({
    type: "radar",
    data: {
      labels: categories.map((each) => [...linesOf(each.name), T.share(each.known, each.all)]),
      datasets: [
        { label: T.known, data: share("known"), borderColor: colour("--accent"), backgroundColor: `color-mix(in srgb, ${colour("--accent")} 16%, transparent)`, borderWidth: 2, pointRadius: 3 },
        { label: T.high, data: share("high"), borderColor: colour("--heat-3"), backgroundColor: `color-mix(in srgb, ${colour("--heat-3")} 20%, transparent)`, borderWidth: 2, pointRadius: 3 },
      ],
    },
    options: {
      scales: { r: { min: 0, suggestedMax: 50, ticks: { display: false, maxTicksLimit: 5 }, pointLabels: { font: { size: 12 } }, grid: { color: colour("--rule") }, angleLines: { color: colour("--rule") } } },
      plugins: { legend: { position: "bottom", labels: { boxWidth: 12 } }, tooltip: { callbacks: { label: ({ dataset, raw }) => `${dataset.label}: ${raw} %` } } },
    },
  });
  return html`<h2>${T.traits}</h2><${Plot} label=${T.radar(known, all)} make=${make} depends=${[JSON.stringify(categories)]} table=${table} height=${300} />`;
}

/** Returns a name in short lines, because the labels of a radar chart are narrow. */
function linesOf(name) {
  const lines = [];
  for (const word of name.split(" ")) {
    const joined = `${lines.at(-1) ?? ""} ${word}`.trim();
    if (lines.length && joined.length <= LINE_LETTERS) lines[lines.length - 1] = joined;
    else lines.push(word);
  }
  return lines;
}

function Category({ category, traits }) {
  const { setup } = useInspector();
  const meanings = new Map(setup.dimensions.map((each) => [`${each.category} ${each.name}`, each]));
  return html`
    <section class="category">
      <h3>${category.name} <span class="faint">${T.share(category.known, category.all)}</span></h3>
      <ul class="traits">
        ${traits
          .filter((each) => each.category === category.name)
          .map((trait) => html`<li key=${trait.dimension}><${TraitCard} trait=${trait} meaning=${meanings.get(`${trait.category} ${trait.dimension}`)} /></li>`)}
      </ul>
    </section>
  `;
}

function TraitCard({ trait, meaning }) {
  return html`
    <article class="card trait">
      <header>
        <strong>${trait.dimension}</strong>
        <span class=${`level ${trait.level}`} title=${T.level(TEXTS.levels[trait.level])}><i></i><i></i><i></i><span>${TEXTS.levels[trait.level]}</span></span>
        ${meaning && trait.level !== "medium" ? html`<span class="faint small">${meaning[trait.level]}</span>` : null}
      </header>
      <p><${StoredText} text=${trait.reason} /></p>
      <p class="small"><${Sources} ids=${trait.evidence_page_ids} /></p>
    </article>
  `;
}
