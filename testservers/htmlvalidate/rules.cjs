// What html-validate asks of the pages: all that it recommends, but for what is a
// matter of taste.
module.exports = {
	root: true,
	extends: ["html-validate:recommended", "html-validate:document"],
	rules: {
		// The standard takes any case, and has text as the type of a field without one.
		"doctype-style": "off",
		"no-implicit-input-type": "off",
		// Fields of one name are a list: boxes to choose from, rows that a form brings back.
		"form-dup-name": "off",
		// Ids as the standard has them: anything without spaces.
		"valid-id": ["error", { relaxed: true }],
		// Scripts and styles come from the same server as the page.
		"require-sri": "off",
	},
};
