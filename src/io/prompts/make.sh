#!/bin/sh
# Makes the prompts anew: make.sh [name ...]; all of them without a name. With KOKORO=FOLDER in the voice that is built
# in (kokoro.py says what the folder holds), without it in that of espeak-ng, which checks the words in either case.
# A site that wants another voice: `dutyline prompts` hands these files out, `[prompts] folder` names its own.
# They are written in pinyin, which every build of espeak-ng speaks as Mandarin: of characters some spell the letters.
# Hyphens join the syllables of a word.
set -eu
cd "$(dirname "$0")"
wanted="$*"
say() {
    name=$1 pinyin=$2
    apart=$(printf %s "$pinyin" | tr - ' ')
    [ -z "$wanted" ] || case " $wanted " in *" $name "*) ;; *) return 0 ;; esac
    if espeak-ng -v cmn-latn-pinyin -q -x "$apart" | grep '(en)' >&2; then
        echo "$name: not Mandarin" >&2
        exit 1
    fi
    if [ -n "${KOKORO:-}" ]; then
        python3 kokoro.py "$KOKORO" "$pinyin" "$name.raw.wav"
    else
        espeak-ng -v cmn-latn-pinyin -s 160 -w "$name.raw.wav" "$apart"
    fi
    # Telephone band; silence off both ends; -20 dB on average, no peak above -1.5 dB; A-law and back.
    sox -R "$name.raw.wav" -r 8000 -c 1 "$name.cut.wav" gain -6 highpass 200 lowpass 3600 \
        silence 1 0.02 0.6% reverse silence 1 0.02 0.6% reverse pad 0.1 0.15
    gain=$(sox "$name.cut.wav" -n stat 2>&1 | awk '/RMS.*amplitude/ { printf "%.1f", -16 - 20 * log($3) / log(10) }')
    sox -R "$name.cut.wav" "$name.al" gain -l "$gain" compand 0.001,0.05 -90,-90,-9,-9,0,-3 -1.5
    sox -R -t al -r 8000 -c 1 "$name.al" -b 16 -e signed-integer "$name.wav"
    rm -f "$name.raw.wav" "$name.cut.wav" "$name.al"
}
room="zhi2-ban1-shi4"
events="jin3-ji2 shi4-xiang4"
something="you3 $events"
key_1="que4-ren4 qing3 an4 yi1"
key_3="bu2-bian4 qing3 an4 san1"
keys="ting1 lu4-yin1 an4 er4, tong1-hua4 an4 wu3, kou3-shu4 pi1-shi4 an4 jiu3"
others="lian2-xi4 qi2-ta1 ling3-dao3"
thanks="xie4-xie5"
# 值班室有紧急事项，确认请按1，不便请按3，重听请按星号键。
say urgent "$room $something, $key_1, $key_3, chong2-ting1 qing3 an4 xing1-hao4-jian4."
# 值班室有紧急事项，确认请按1，加入通话请按6，不便请按3。
say urgent_live "$room $something, $key_1, jia1-ru4 tong1-hua4 qing3 an4 liu4, $key_3."
# 刚才的电话中断了。值班室有紧急事项，确认请按1，不便请按3。
say urgent_cut "gang1-cai2 de5 dian4-hua4 zhong1-duan4 le5. $room $something, $key_1, $key_3."
# 值班室有多件紧急事项，逐件播报，确认后按井号键转下一件。
say several "$room you3 duo1 jian4 jin3-ji2 shi4-xiang4, zhu2-jian4 bo1-bao4, que4-ren4 hou4 an4 jing3-hao4-jian4 zhuan3 xia4 yi2 jian4."
# 又有一件紧急事项，随后播报。
say also "you4 you3 yi2 jian4 jin3-ji2 shi4-xiang4, sui2-hou4 bo1-bao4."
# 下面是另一件紧急事项。
say next "xia4-mian4 shi4 ling4 yi2 jian4 jin3-ji2 shi4-xiang4."
# 已确认。听录音按2，通话按5，口述批示按9。
say confirmed "yi3 que4-ren4. $keys."
# 听录音按2，通话按5，口述批示按9，结束请挂机。
say more "$keys, jie2-shu4 qing3 gua4-ji1."
# 已由其他领导确认。请尽快与值班室联系。
say already_confirmed "yi3 you2 qi2-ta1 ling3-dao3 que4-ren4. qing3 jin3-kuai4 yu3 $room lian2-xi4."
# 该事项已撤回。
say withdrawn "gai1 shi4-xiang4 yi3 che4-hui2."
# 按键无效。
say wrong_key "an4-jian4 wu2-xiao4."
# 请稍候。
say please_wait "qing3 shao1-hou4."
# 现在无法加入通话。
say cannot_join "xian4-zai4 wu2-fa3 jia1-ru4 tong1-hua4."
# 请输入口令，按井号键结束。
say enter_pin "qing3 shu1-ru4 kou3-ling4, an4 jing3-hao4-jian4 jie2-shu4."
# 口令错误，请重新输入。
say wrong_pin "kou3-ling4 cuo4-wu4, qing3 chong2-xin1 shu1-ru4."
# 口令错误，值班室将联系其他领导。
say pin_refused "kou3-ling4 cuo4-wu4, $room jiang1 $others."
# 没有收到口令，返回请按星号键。
say pin_late "mei2-you3 shou1-dao4 kou3-ling4, fan3-hui2 qing3 an4 xing1-hao4-jian4."
# 已转替班领导，谢谢。
say handed_on "yi3 zhuan3 ti4-ban1 ling3-dao3, $thanks."
# 已记录，值班室将联系其他领导。
say passed_on "yi3 ji4-lu4, $room jiang1 $others."
# 请在提示音后口述批示，按井号键结束。
say dictate "qing3 zai4 ti2-shi4-yin1 hou4 kou3-shu4 pi1-shi4, an4 jing3-hao4-jian4 jie2-shu4."
# 已记录，谢谢。
say taken "yi3 ji4-lu4, $thanks."
# 录音暂时无法播放，通话请按5。
say no_recording "lu4-yin1 zan4-shi2 wu2-fa3 bo1-fang4, tong1-hua4 qing3 an4 wu3."
# 您确认的紧急事项尚未阅办。听录音按2，通话按5，口述批示按9，不便请按3。
say unread "nin2 que4-ren4 de5 jin3-ji2 shi4-xiang4 shang4-wei4 yue4-ban4. $keys, $key_3."
# 领导已作批示，请在页面上查看，确认请按1。
say instruction "ling3-dao3 yi3 zuo4 pi1-shi4, qing3 zai4 ye4-mian4 shang5 cha2-kan4, $key_1."
# 您好，这里是值班室。值班员正在接听其他来电，请不要挂机，我们将尽快接听。
say queue "nin2-hao3, zhe4-li3 shi4 $room. zhi2-ban1-yuan2 zheng4-zai4 jie1-ting1 qi2-ta1 lai2-dian4, qing3 bu2-yao4 gua4-ji1, wo3-men5 jiang1 jin3-kuai4 jie1-ting1."
# 您好，这里是值班室。值班员暂时无法接听，请在提示音后留言，留言结束请按井号键或挂机。
say greeting "nin2-hao3, zhe4-li3 shi4 $room. zhi2-ban1-yuan2 zan4-shi2 wu2-fa3 jie1-ting1, qing3 zai4 ti2-shi4-yin1 hou4 liu2-yan2, liu2-yan2 jie2-shu4 qing3 an4 jing3-hao4-jian4 huo4 gua4-ji1."
# 值班方已接听，录音自检。
say self_test "zhi2-ban1 fang1 yi3 jie1-ting1, lu4-yin1 zi4-jian3."
# 一二三四五六七八九，来电方。
say self_test_caller "yi1 er4 san1 si4 wu3 liu4 qi1 ba1 jiu3, lai2-dian4 fang1."
# 注意，值班系统没有响应，请检查值班电话和电脑，确认请按1。
say silent "zhu4-yi4, zhi2-ban1 xi4-tong3 mei2-you3 xiang3-ying4, qing3 jian3-cha2 zhi2-ban1 dian4-hua4 he2 dian4-nao3, $key_1."
# 这是演练。
say drill "zhe4 shi4 yan3-lian4."
# 这是演练，这是演练。值班室紧急呈报演练，确认请按1，不便请按3，重听请按星号键。
say drill_urgent "zhe4 shi4 yan3-lian4, zhe4 shi4 yan3-lian4. $room jin3-ji2 cheng2-bao4 yan3-lian4, $key_1, $key_3, chong2-ting1 qing3 an4 xing1-hao4-jian4."
# 值班室点名，不是紧急事项，确认请按1。
say roll_call "$room dian3-ming2, bu2-shi4 $events, $key_1."
# 值班室核实号码，不是紧急事项，确认请按1。
say check_number "$room he2-shi2 hao4-ma3, bu2-shi4 $events, $key_1."
